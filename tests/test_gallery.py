"""The gallery: every script has its picture, its claim and its place on the page.

The scripts themselves are run by ``make gallery-quick``.
"""

import ast
from pathlib import Path

import pytest

GALLERY = Path(__file__).parents[1] / "gallery"
SCRIPTS = sorted(path for path in GALLERY.glob("*.py") if "from shared import" in path.read_text())


def test_there_is_a_script_for_every_kind_of_figure():
    from sharpscope.figures import KINDS

    text = "".join(path.read_text() for path in SCRIPTS)
    drawn = {name for name in KINDS if f'"{name}"' in text}
    # What a single result draws by itself, and a comparison.
    assert set(KINDS) - drawn <= {"forest"}
    assert "found.draw(" in (GALLERY / "comparison.py").read_text()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_claims_something_and_is_shown(script: Path):
    tree = ast.parse(script.read_text())
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    assert script.with_suffix(".png").is_file()
    page = (GALLERY / "README.md").read_text()
    assert f"({script.name})" in page
    assert f"({script.stem}.png)" in page
    assert str(ast.get_docstring(tree)) in page
