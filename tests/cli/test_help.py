"""Help is light, complete and says what the registries say."""

import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from sharpscope_cli.main import COMMANDS, cli
from sharpscope_cli.params import Registered

import sharpscope
from tests.cli.support import done, failed, run

LIGHT = """
import sys
from sharpscope_cli.main import cli
try:
    cli({arguments!r})
except SystemExit as exit:
    assert exit.code == 0, exit.code
heavy = [name for name in ("torch", "numpy", "scipy", "sklearn", "rich") if name in sys.modules]
assert not heavy, heavy
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def commands() -> list[tuple[str, click.Command]]:
    context = click.Context(cli)
    return [(name, cli.get_command(context, name)) for name in cli.list_commands(context)]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_imports_no_torch(name: str) -> None:
    arguments = [*name.split(), "--help"]
    code = LIGHT.format(arguments=arguments)
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "Usage:" in found.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["show", "--help"]])
def test_help_answers_at_once(arguments: list[str]) -> None:
    def once() -> float:
        # Processor time: what other work on the machine takes is not the command's.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert python("-m", "sharpscope_cli", *arguments).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(once() for _ in range(3)) < 0.3


def test_installed_entry_point() -> None:
    script = Path(sys.executable).with_name("sharpscope")
    found = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"sharpscope {sharpscope.__version__}\n"


def test_module_runs() -> None:
    found = python("-m", "sharpscope_cli", "show", "nothing.pt")
    assert found.returncode == 2
    assert found.stderr == "Error: no such file: nothing.pt\n"
    assert found.stdout == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_short_and_long_help_agree(name: str) -> None:
    assert done(name, "-h") == done(name, "--help")


def test_bare_command_helps() -> None:
    assert done() == done("--help")


@pytest.mark.parametrize(("name", "command"), commands(), ids=list(COMMANDS))
def test_every_command_has_help_and_an_example(name: str, command: click.Command) -> None:
    assert command.name == name
    assert COMMANDS[name] == (command.help or "").splitlines()[0]
    assert f"sharpscope {name} " in f"{command.epilog} ".replace("\n", " ")


@pytest.mark.parametrize(("name", "command"), commands(), ids=list(COMMANDS))
def test_every_option_has_help_and_shows_its_default(name: str, command: click.Command) -> None:
    # These have no default: nothing is saved, set or looked for until they are given.
    measuring = (
        "trace",
        "eigen",
        "density",
        "landscape",
        "sharpness",
        "gap",
        "coupling",
        "contribution",
    )
    bare = {"--spec", "--set", "--figure"} | ({"--out"} if name in measuring else set[str]())
    context = click.Context(command, show_default=True)
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.opts
            _, text = option.get_help_record(context) or ("", "")
            assert ("[default: " in text) != (option.is_flag or option.opts[-1] in bare), text


@pytest.mark.parametrize(("name", "command"), commands(), ids=list(COMMANDS))
def test_help_names_what_is_registered(name: str, command: click.Command) -> None:
    for option in command.params:
        if isinstance(option, click.Option) and isinstance(option.type, Registered):
            for registered in option.type.names():
                assert registered in (option.help or ""), (option.opts, registered)


def test_measuring_commands_share_their_options() -> None:
    shared = {
        "--modality",
        "--loss",
        "--split",
        "--samples",
        "--batch-size",
        "--device",
        "--dtype",
        "--seed",
        "--rtol",
        "--budget",
        "--max-seconds",
        "--spec",
        "--trust",
        "--out",
        "--json",
        "--quiet",
        "--debug",
    }
    of_encoders = {"--modality", "--loss", "--rtol", "--budget", "--max-seconds"}
    found = dict(commands())
    lacking = {
        "contribution": of_encoders,
        "density": {"--rtol"},
        "landscape": {"--rtol", "--budget"},
        "sharpness": {"--rtol", "--budget"},
        "gap": of_encoders | {"--split", "--samples"},
        "coupling": {"--modality"},
    }
    for name in ("trace", "eigen", *lacking):
        options = {opt for option in found[name].params for opt in option.opts}
        assert shared - lacking.get(name, set[str]()) <= options


def test_unknown_command_names_the_nearest() -> None:
    line = failed("trase", code=2)
    assert "no such command 'trase'; did you mean 'trace'?" in line


def test_unknown_option_is_one_line() -> None:
    assert "--sampels" in failed("trace", "x.pt", "--sampels", "3", code=2)
    assert "Try 'cli trace --help'." in failed("trace", code=2)


def test_version() -> None:
    assert run("--version").stdout == f"sharpscope {sharpscope.__version__}\n"
