"""Running the command line in tests, and a foreign model to run it on."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from click.testing import CliRunner, Result
from sharpscope_cli.main import cli
from torch import nn

CODE = """
import torch
from torch import nn
from torch.nn import functional as F


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.ehr_model = nn.Linear(3, 4)
        self.cxr_model = nn.Linear(5, 4)
        self.head = nn.Linear(8, 3)

    def forward(self, ehr, cxr):
        {forward}
        return self.head(torch.cat([self.ehr_model(ehr).tanh(), self.cxr_model(cxr).tanh()], 1))


def build():
    {build}
    return Two()


def data():
    draws = torch.Generator().manual_seed(7)
    batches = [
        (
            torch.randn(n, 3, generator=draws),
            torch.randn(n, 5, generator=draws),
            torch.randint(3, (n,), generator=draws),
        )
        for n in (4, 4, 3)
    ]
    {data}
    return batches
"""
SPEC = """
[model]
factory = "{module}:build"
[data]
test = "{module}:data"
[loss]
name = "cross_entropy"
[encoders]
ehr = "ehr_model"
cxr = "cxr_model"
"""
_NUMBERS = itertools.count()


def run(*arguments: str | Path) -> Result:
    """Run ``sharpscope`` with these arguments in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def done(*arguments: str | Path) -> str:
    """Run it, demand success, and return what it printed."""
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def read_json(*arguments: str | Path) -> Any:
    """Run it with ``--json`` and return the one value printed; NaN and infinity are refused."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(done(*arguments, "--json"), parse_constant=refuse)


def failed(*arguments: str | Path, code: int) -> str:
    """Run it, demand one line on stderr and this exit code, and return the line."""
    result = run(*arguments)
    assert result.exit_code == code, (result.exit_code, result.stderr, result.exception)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


@dataclass(frozen=True)
class Foreign:
    """Somebody else's checkpoint, and the spec that rebuilds it."""

    checkpoint: Path
    spec: Path
    module: str


def foreign(
    folder: Path,
    *,
    forward: str = "pass",
    build: str = "pass",
    data: str = "pass",
    spec_name: str = "other.toml",
) -> Foreign:
    """Write a foreign package, a state dict and its spec; each part can be made faulty."""
    module = f"foreign_{next(_NUMBERS)}"  # modules are imported once in a process
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(CODE.format(forward=forward, build=build, data=data))
    (folder / spec_name).write_text(SPEC.format(module=module))
    draws = torch.Generator().manual_seed(3)
    state = {
        name: torch.randn(value.shape, generator=draws)
        for name, value in ForeignModel().state_dict().items()
    }
    torch.save(state, folder / "theirs.pt")
    return Foreign(folder / "theirs.pt", folder / spec_name, module)


class ForeignModel(nn.Module):
    """The same parts as in the code above."""

    def __init__(self):
        super().__init__()
        self.ehr_model = nn.Linear(3, 4)
        self.cxr_model = nn.Linear(5, 4)
        self.head = nn.Linear(8, 3)
