"""What the README shows runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_python_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trace, eigen = done.stdout.splitlines()
    assert re.match(r"TraceResult\(-?[\d.()e ±-]+, hutch\+\+, \d+ products, [\d.]+ s\)", trace)
    assert eigen.startswith("EigenResult(λ_max ")
