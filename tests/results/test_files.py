"""Files written whole or not at all."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharpscope.errors import MisuseError
from sharpscope.results import check_writable, files, load, write_whole
from tests.results.makers import an_eigen


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt(), ValueError()])
def test_a_write_that_stops_in_the_middle_leaves_the_old_file(tmp_path: Path, error: Any):
    path = tmp_path / "x.json"
    path.write_text("old")

    def write(file: Any) -> None:
        file.write(b"ne")
        raise error

    expected = MisuseError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        write_whole(path, write)
    if expected is MisuseError:
        assert str(caught.value) == f"cannot write {path}: No space left"
    assert contents(tmp_path) == {"x.json": b"old"}


@pytest.mark.parametrize("broken", ["json", "npz"])
def test_a_result_and_its_arrays_are_replaced_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
):
    path = an_eigen().save(tmp_path / "x.json")
    before = contents(tmp_path)
    changed = an_eigen(largest=9.0, vectors=np.zeros((2, 3)))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    if broken == "npz":
        monkeypatch.setattr(np, "savez", full)
    else:
        original = files.write_together

        def with_full_disk(wanted: Any) -> None:
            original({p: full if p.suffix == ".json" else w for p, w in wanted.items()})

        monkeypatch.setattr("sharpscope.results.base.write_together", with_full_disk)
    with pytest.raises(MisuseError, match=f"cannot write .*x.{broken}: No space left on device"):
        changed.save(path)
    assert contents(tmp_path) == before
    monkeypatch.undo()
    assert load(changed.save(path)) == changed


def test_a_reader_of_the_old_file_goes_on_reading_it(tmp_path: Path):
    path = tmp_path / "x"
    path.write_text("old")
    with path.open() as reader:
        write_whole(path, lambda file: file.write(b"new"))
        assert (reader.read(), path.read_text()) == ("old", "new")


def test_a_new_file_has_the_rights_of_any_other(tmp_path: Path):
    old = os.umask(0o027)
    try:
        write_whole(tmp_path / "x", lambda file: file.write(b"1"))
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("use", [check_writable, lambda p: an_eigen().save(p)])
def test_paths_that_cannot_be_written(tmp_path: Path, use: Any):
    (tmp_path / "file").write_text("")
    with pytest.raises(MisuseError, match=r"cannot write .*file/x.json: (Not a directory|File ex)"):
        use(tmp_path / "file" / "x.json")
    with pytest.raises(MisuseError, match=r"cannot write .*: it is a folder; name a file"):
        use(tmp_path)


def test_checking_makes_the_folder_and_leaves_nothing_else(tmp_path: Path):
    (tmp_path / "x.json.probe").write_text("mine")
    for path in (tmp_path / "x.json", tmp_path / "new" / "y.json"):
        assert check_writable(str(path)) == path
        assert not path.exists()
    assert contents(tmp_path / "new") == {}
    assert (tmp_path / "x.json.probe").read_text() == "mine"
