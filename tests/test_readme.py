"""What the README shows runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_python_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    code = "\n".join(blocks)  # the later ones go on from the first
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trace, eigen, step = done.stdout.splitlines()
    assert re.match(r"(ehr|cxr) \{'ehr': -?[\d.]+, 'cxr': -?[\d.]+\} [\d.]+", step)
    assert re.match(r"TraceResult\(-?[\d.()e ±-]+, hutch\+\+, \d+ products, [\d.]+ s\)", trace)
    assert eigen.startswith("EigenResult(λ_max ")
