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
