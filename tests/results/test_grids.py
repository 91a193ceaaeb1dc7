"""Grids for ParaView: read back by another way, every value where it belongs."""

import base64
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharpscope.errors import MisuseError
from sharpscope.results import LandscapeResult
from sharpscope.results.grids import export_grid
from tests.results.makers import a_landscape, a_trace

X, Y, Z = np.array([-2.0, 0.0, 2.0]), np.linspace(-1, 1, 5), np.array([-0.5, 0.0, 0.5])


def measured(shape: tuple[int, ...]) -> np.ndarray:
    values = np.arange(np.prod(shape), dtype=float).reshape(shape) / 7
    values.flat[0], values.flat[-1] = np.nan, np.inf
    return values


def a_volume() -> LandscapeResult:
    return a_landscape(x=X, y=Y, z=Z, values=measured((3, 5, 3)), labels=("a", "b", "c"))


def read(path: Path) -> tuple[ElementTree.Element, dict[str, np.ndarray]]:
    """Return the grid's element and its arrays, decoded from base64 behind 8 bytes of length."""
    root = ElementTree.parse(path).getroot()
    assert root.attrib["byte_order"] == "LittleEndian"
    assert root.attrib["header_type"] == "UInt64"
    arrays: dict[str, np.ndarray] = {}
    for entry in root.iter("DataArray"):
        raw = base64.b64decode(entry.text or "", validate=True)
        assert int.from_bytes(raw[:8], "little") == len(raw) - 8
        kind: Any = {"Float64": "<f8", "UInt8": "u1"}[entry.attrib["type"]]
        arrays[entry.attrib["Name"]] = np.frombuffer(raw[8:], dtype=kind)
    return root[0], arrays


def test_a_volume_is_read_back_point_for_point(tmp_path: Path):
    result = a_volume()
    grid, arrays = read(export_grid(result, tmp_path / "v.vtr"))
    assert grid.tag == "RectilinearGrid"
    assert grid.attrib["WholeExtent"] == grid[0].attrib["Extent"] == "0 2 0 4 0 2"
    for name, axis in zip("xyz", (X, Y, Z), strict=True):
        np.testing.assert_array_equal(arrays[name], axis)
    # x moves fastest: point (i, j, k) stands at i + 3 (j + 5 k).
    for k, j, i in np.ndindex(3, 5, 3):
        np.testing.assert_array_equal(arrays["loss"][i + 3 * (j + 5 * k)], result.values[k, j, i])
    assert np.isnan(arrays["loss"][0])
    assert np.isposinf(arrays["loss"][-1])
    (center,) = np.flatnonzero(arrays["center"])
    assert center == 1 + 3 * (2 + 5 * 1)


@pytest.mark.parametrize("lines", [True, False], ids=["line", "plane"])
def test_fewer_axes_leave_the_others_at_zero(lines: bool, tmp_path: Path):
    values = measured((3,) if lines else (5, 3))
    result = a_landscape(x=X, y=None if lines else Y, values=values)
    grid, arrays = read(export_grid(result, tmp_path / "g.VTR"))
    assert grid.attrib["WholeExtent"] == ("0 2 0 0 0 0" if lines else "0 2 0 4 0 0")
    np.testing.assert_array_equal(arrays["loss"], values.ravel())
    assert list(arrays["z"]) == [0.0]
    assert len(arrays["y"]) == (1 if lines else 5)


def test_the_metric_of_the_same_passes_is_beside_the_loss(tmp_path: Path):
    metric = np.linspace(0, 1, 15).reshape(5, 3)
    result = a_landscape(x=X, y=Y, values=measured((5, 3)), metric="accuracy", metric_values=metric)
    _, arrays = read(export_grid(result, tmp_path / "g.vtr"))
    np.testing.assert_array_equal(arrays["accuracy"], metric.ravel())


def test_a_plane_is_raised_by_its_loss_and_its_holes_are_hidden(tmp_path: Path):
    values = measured((5, 3))
    grid, arrays = read(export_grid(a_landscape(x=X, y=Y, values=values), tmp_path / "p.vts"))
    assert grid.tag == "StructuredGrid"
    points = arrays["points"].reshape(5, 3, 3)
    finite = np.isfinite(values)
    np.testing.assert_array_equal(points[..., 0], np.broadcast_to(X, (5, 3)))
    np.testing.assert_array_equal(points[..., 1], np.broadcast_to(Y[:, None], (5, 3)))
    np.testing.assert_array_equal(points[..., 2][finite], values[finite])
    np.testing.assert_array_equal(arrays["vtkGhostType"].reshape(5, 3) == 2, ~finite)
    assert np.isfinite(points).all()


def test_what_cannot_be_exported(tmp_path: Path):
    with pytest.raises(MisuseError, match=r"must end in '.vtr' or '.vts'; got .*grid.vtk"):
        export_grid(a_volume(), tmp_path / "grid.vtk")
    with pytest.raises(MisuseError, match=r".vts is for a plane raised by its loss; name a .vtr"):
        export_grid(a_volume(), tmp_path / "grid.vts")
    other: Any = a_trace()
    with pytest.raises(MisuseError, match=r".vtr is for grids of landscapes; got TraceResult"):
        export_grid(other, tmp_path / "grid.vtr")
    (tmp_path / "file").write_text("")
    with pytest.raises(MisuseError, match="cannot write"):
        export_grid(a_volume(), tmp_path / "file" / "grid.vtr")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
