"""What the README shows runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
WATCHING = "\n## Watching flatness while it trains\n"


def _blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def _parts() -> tuple[list[str], list[str]]:
    """Return the examples, and those of the monitor, which go on from the first one."""
    before, _, rest = README.read_text().partition(WATCHING)
    watching, heading, after = rest.partition("\n## ")
    return _blocks(before + heading + after), _blocks(watching)


def _said(code: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_python_examples_run(tmp_path: Path):
    code = "\n".join(_parts()[0])  # the later ones go on from the first
    trace, eigen, step = _said(code, tmp_path)
    assert re.match(r"(ehr|cxr) \{'ehr': -?[\d.]+, 'cxr': -?[\d.]+\} [\d.]+", step)
    assert re.match(r"TraceResult\(-?[\d.()e ±-]+, hutch\+\+, \d+ products, [\d.]+ s\)", trace)
    assert eigen.startswith("EigenResult(λ_max ")


def test_a_loop_is_watched(tmp_path: Path):
    examples, watching = _parts()
    setting = examples[0].partition("print(")[0] + examples[1]  # the model with two heads
    (code,) = [block for block in watching if "monitor.step()" in block]
    _said(setting + code + "print(monitor.record)", tmp_path)
    assert (tmp_path / "watch.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "runs" / "mine.monitor.jsonl").read_text().count('"measurement"') == 4


@pytest.mark.parametrize("name", ["lightning", "transformers"])
def test_the_frameworks_are_watched(name: str, tmp_path: Path):
    examples, watching = _parts()
    # Without what the first example prints: its measurements are tested above.
    setting = examples[0].partition("print(")[0]
    (code,) = [block for block in watching if f"sharpscope.monitor.{name}" in block]
    said = _said(setting + code, tmp_path)[-1]
    assert re.match(r"MonitorRecord\(ehr, cxr: 4 measurements, step \d+, \d events, ", said), said
    assert (tmp_path / "runs" / f"{name}.jsonl").is_file()
