"""What must be light is light: no torch before it is needed."""

import subprocess
import sys

import pytest

import sharpscope


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "code",
    [
        "import sharpscope",
        "import sharpscope; dir(sharpscope); sharpscope.__version__",
        "import sharpscope.results, sharpscope.checks, sharpscope.errors",
        "import sharpscope as ss; ss.load",
    ],
)
def test_no_torch(code: str):
    assert _run(f"import sys; {code}; print('torch' in sys.modules)") == "False"


def test_heavy_names_load_on_first_use():
    code = "import sys, sharpscope as ss; ss.Subject; print('torch' in sys.modules)"
    assert _run(code) == "True"


def test_every_public_name_is_there_and_no_other():
    for name in sharpscope.__all__:
        assert getattr(sharpscope, name) is not None
        assert name in dir(sharpscope)
    with pytest.raises(AttributeError, match="module 'sharpscope' has no attribute 'trance'"):
        _ = sharpscope.trance  # pyright: ignore[reportAttributeAccessIssue]


STILL = """
import random, numpy, torch, sharpscope as ss
model = torch.nn.Sequential(torch.nn.Linear(2, 2))
data = [(torch.randn(8, 2), torch.randint(2, (8,)))]
loss = torch.nn.functional.cross_entropy
subject = ss.Subject(model, data, loss=loss, encoders={"x": "0"})
def states():
    return random.getstate(), torch.get_rng_state().tolist(), repr(numpy.random.get_state())
before = states()
ss.trace(subject, "x", probes=2)
ss.generalization_gap(subject, subject, bootstrap=100, metric="macro_auroc")
ss.contribution(subject, train=subject, val=subject, bootstrap=100)
for one, other, name in zip(before, states(), ("python", "torch", "numpy")):
    assert one == other, name
"""


def test_measurements_leave_the_generators_of_a_fresh_process_alone():
    # Some libraries draw from Python's generator when they are imported.
    _run(STILL)
