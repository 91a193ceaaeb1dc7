"""Exit codes, one rule: 2 where the words must change, 1 where what they name fails."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.cli.support import Foreign, failed, foreign, run

FEW = ("--probes", "2", "--rank", "0")


def spec_with(old: str, new: str) -> Callable[[Foreign], None]:
    """Return a change of the spec's text."""

    def change(other: Foreign) -> None:
        text = other.spec.read_text()
        assert old in text
        other.spec.write_text(text.replace(old, new))

    return change


def state_with(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Foreign], None]:
    """Return a change of the checkpoint's tensors."""

    def changed(other: Foreign) -> None:
        state = torch.load(other.checkpoint)
        change(state)
        torch.save(state, other.checkpoint)

    return changed


def code_with(old: str, new: str) -> Callable[[Foreign], None]:
    """Return a change of the user's own code."""

    def change(other: Foreign) -> None:
        path = other.spec.parent / f"{other.module}.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


WORDS: dict[str, tuple[str, ...]] = {
    "unknown option": ("--budgt", "3"),
    "option out of range": ("--budget", "0"),
    "unknown modality": ("--modality", "mri"),
    "unknown loss": ("--loss", "fusoin"),
    "loss that the spec does not name": ("--loss", "cxr"),
    "split that the spec does not name": ("--split", "val"),
    "batch size that the data do not take": ("--batch-size", "2"),
    "absent device": ("--device", "cuda:99"),
    "absent spec": ("--spec", "none.toml"),
    "folder as spec": ("--spec", "."),
    "out that cannot be written": ("--out", "theirs.pt/x"),
}
SPECS: dict[str, tuple[str, str]] = {
    "no TOML": ("[model]", "[model"),
    "unknown section": ("[model]", "[modle]"),
    "unknown key": ("factory", "fctory"),
    "no model": ("[model]\nfactory =", "#"),
    "value of the wrong type": ('"ehr_model"', "3"),
    "left as drafted": (':build"', ':build"\nstate = "<state>"'),
    "encoder pattern that matches nothing": ('"cxr_model"', '"cxr_modle"'),
    "parameter owned twice": ('"cxr_model"', '"ehr_model"'),
    "no such module": ('factory = "', 'factory = "no_such_'),
    "no such function": (":build", ":biuld"),
    "what is no function": (":build", ":nn"),
    "unknown loss name": ("cross_entropy", "crossentropy"),
    "unknown metric": ("[encoders]", '[metric]\nname = "acc"\n[encoders]'),
    "no data": ("[data]\ntest =", "#"),
    "state that is not in the file": (':build"', ':build"\nstate = "ema"'),
    "prefix that is not in the file": (':build"', ':build"\nprefix = "net"'),
}
CODE: dict[str, tuple[str, str]] = {
    "model that raises": ("    return Two()", "    raise OSError"),
    "module that raises": ("import torch\n", "import torch\n1 / 0\n"),
    "module whose own import is not there": ("import torch\n", "import no_such_dependency\n"),
    "model that is none": ("    return Two()", "    return 3"),
    "data that are none": ("    return batches", "    return 3"),
    "empty data": ("    return batches", "    return []"),
    "batch that the model refuses": ("torch.randn(n, 5", "torch.randn(n, 6"),
    "loss that is not finite": ("torch.randn(n, 5", "torch.nan * torch.randn(n, 5"),
    "model that does not stand still": ("return self.head(", "return torch.rand(()) * self.head("),
    "no second derivative": ("ehr, cxr):", "ehr, cxr):\n        ehr = ehr + torch.cdist("
     "self.cxr_model(cxr), torch.ones(2, 4)).sum(1)[:, None]"),
}  # fmt: skip
STATES: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "another architecture": lambda state: state.update({"head.bias": torch.ones(9)}),
    "missing tensor": lambda state: state.pop("head.bias"),
    "NaN weights": lambda state: state["head.bias"].fill_(torch.nan),
}


@pytest.mark.parametrize("case", WORDS)
def test_wrong_words_are_2(own_folder: Path, case: str) -> None:
    foreign(own_folder, spec_name="sharpscope.toml")
    failed("trace", "theirs.pt", *FEW, *WORDS[case], code=2)


@pytest.mark.parametrize("case", SPECS)
def test_a_wrong_spec_is_2(own_folder: Path, case: str) -> None:
    other = foreign(own_folder)
    spec_with(*SPECS[case])(other)
    line = failed("trace", other.checkpoint, "--spec", other.spec, *FEW, code=2)
    assert str(other.spec) in line


@pytest.mark.parametrize("case", CODE)
def test_own_code_that_fails_is_1(own_folder: Path, case: str) -> None:
    other = foreign(own_folder)
    code_with(*CODE[case])(other)
    failed("trace", other.checkpoint, "--spec", other.spec, "--modality", "cxr", *FEW, code=1)
    sys.modules.pop(other.module, None)


@pytest.mark.parametrize("case", STATES)
def test_a_checkpoint_that_does_not_fit_is_1(own_folder: Path, case: str) -> None:
    other = foreign(own_folder)
    state_with(STATES[case])(other)
    failed("trace", other.checkpoint, "--spec", other.spec, *FEW, code=1)


@pytest.mark.parametrize("command", ["trace", "eigen", "show", "init"])
def test_files(own_folder: Path, command: str) -> None:
    Path("folder").mkdir()
    Path("empty.pt").touch()
    Path("text.pt").write_text("dear diary")
    torch.save({"w": torch.ones(100)}, "whole.pt")
    Path("half.pt").write_bytes(Path("whole.pt").read_bytes()[:700])
    torch.save(torch.nn.Linear(1, 1), "pickled.pt")
    codes = {name: run(command, name).exit_code for name in ("none.pt", "folder")}
    assert codes == {"none.pt": 2, "folder": 2}
    names = ("empty.pt", "text.pt", "half.pt", "pickled.pt")
    codes = {name: run(command, name).exit_code for name in names}
    assert codes == dict.fromkeys(names, 1)


def test_nothing_that_says_how_to_rebuild_is_2(own_folder: Path) -> None:
    other = foreign(own_folder)
    assert run("trace", other.checkpoint).exit_code == 2


def test_a_budget_spent_is_done(own_folder: Path) -> None:
    foreign(own_folder, spec_name="sharpscope.toml")
    assert run("trace", "theirs.pt", "--rtol", "1e-9", "--budget", "4").exit_code == 0
    assert run("eigen", "theirs.pt", "--rtol", "1e-9", "--budget", "4").exit_code == 0
