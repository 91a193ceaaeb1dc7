"""A spec's functions are found in its own folder, and what they raise is one sentence."""

import sys
from pathlib import Path
from typing import Any

import pytest

from sharpscope.errors import SpecError
from sharpscope.subject.factories import Factory


@pytest.fixture(autouse=True)
def _modules_as_before(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and "/pytest-" in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


def factory(folder: Path, target: str, **kwargs: Any) -> Factory:
    return Factory(
        key="model.factory", target=target, kwargs=kwargs, spec=folder / "sharpscope.toml"
    )


def call_refused(made: Factory, **more: Any) -> str:
    with pytest.raises(SpecError) as caught:
        made(**more)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f'{made.spec}: model.factory = "{made.target}"')
    return str(caught.value).removeprefix(f'{made.spec}: model.factory = "{made.target}"')


def test_the_spec_folder_comes_first_and_once(tmp_path: Path):
    (tmp_path / "own_code_a.py").write_text(
        "def build(a, b=0): return a + b\nclass Net:\n  one = 1"
    )
    assert factory(tmp_path, "own_code_a:build", a=1)(b=2) == 3
    sys.path.insert(0, "elsewhere")
    factory(tmp_path, "own_code_a:Net")()
    assert sys.path[0] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1


def test_code_that_cannot_be_imported(tmp_path: Path):
    where = f"(modules are looked for in {tmp_path} first)"
    assert call_refused(factory(tmp_path, "no_such_module:build")) == (
        f" cannot be imported: ModuleNotFoundError: No module named 'no_such_module' {where}"
    )
    (tmp_path / "own_code_b.py").write_text("import sys\nsys.exit('usage: train.py')")
    assert call_refused(factory(tmp_path, "own_code_b:build")) == (
        f" cannot be imported: SystemExit: usage: train.py {where}"
    )
    (tmp_path / "own_code_c.py").write_text("def build(:")
    assert "cannot be imported: SyntaxError: " in call_refused(
        factory(tmp_path, "own_code_c:build")
    )


def test_a_function_that_is_not_there_or_fails(tmp_path: Path):
    (tmp_path / "own_code_d.py").write_text(
        "number = 3\ndef build(size=1):\n    raise ValueError(f'no size\\n{size}')"
    )
    assert call_refused(factory(tmp_path, "own_code_d:biuld")) == (
        ": 'own_code_d' has no 'biuld'; did you mean 'build'?"
    )
    assert call_refused(factory(tmp_path, "own_code_d:number")) == (
        " must be a function; it is of type int"
    )
    assert call_refused(factory(tmp_path, "own_code_d:build", size=4)) == (
        " raised ValueError: no size 4"
    )
    assert " raised TypeError: " in call_refused(factory(tmp_path, "own_code_d:build"), wrong=1)


def test_a_module_of_the_same_name_from_elsewhere_is_not_used_in_silence(tmp_path: Path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own_code_e.py").write_text(f"def build(): return '{folder}'")
    assert factory(tmp_path / "one", "own_code_e:build")() == "one"
    assert call_refused(factory(tmp_path / "two", "own_code_e:build")) == (
        f" means {tmp_path / 'two' / 'own_code_e.py'}, but another module called 'own_code_e' is "
        f"already imported ({tmp_path / 'one' / 'own_code_e.py'}): rename yours, or start a new "
        "process"
    )
    (tmp_path / "two" / "sys.py").write_text("")
    assert "(built in)" in call_refused(factory(tmp_path / "two", "sys:exit"))
