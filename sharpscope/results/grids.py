"""Grids of landscapes as VTK files, which ParaView and its relatives open."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from xml.sax.saxutils import quoteattr

import numpy as np

from sharpscope.checks import listed
from sharpscope.errors import MisuseError
from sharpscope.results.files import write_whole
from sharpscope.results.landscape import LandscapeResult

GRIDS = (".vtr", ".vts")


def export_grid(result: LandscapeResult, path: str | Path) -> Path:
    """Write a landscape for ParaView: its coordinates, and at every point what was measured.

    A ``.vtr`` file is the grid itself, a RectilinearGrid. A ``.vts`` file is a plane raised by its
    loss, a StructuredGrid whose points without a finite loss are hidden. The array ``center`` is 1
    at the model and 0 elsewhere; in ``loss`` what is not finite stays so.

    Raises:
        MisuseError: If the result is no landscape, the file is of another kind, only a plane can
            be raised, or the file cannot be written.
    """
    path = Path(path)
    if not isinstance(result, LandscapeResult):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MisuseError(f"{path.suffix} is for grids of landscapes; got {result!r}")
    if path.suffix.lower() not in GRIDS:
        raise MisuseError(f"a grid's file must end in {listed(GRIDS)}; got {path}")
    raised = path.suffix.lower() == ".vts"
    if raised and (result.y is None or result.z is not None):
        raise MisuseError(f"{path.suffix} is for a plane raised by its loss; name a .vtr file")
    write_whole(path, lambda file: _write(file, result, raised=raised))
    return path


def _write(file: IO[bytes], result: LandscapeResult, *, raised: bool) -> None:
    axes = [np.zeros(1) if axis is None else axis for axis in (result.x, result.y, result.z)]
    shape = tuple(len(axis) for axis in reversed(axes))
    points: dict[str, np.ndarray] = {"loss": result.values}
    if result.metric_values is not None:
        points[result.metric or "metric"] = result.metric_values
    center = np.zeros(shape, dtype=np.uint8)
    center[tuple(int(np.abs(axis).argmin()) for axis in reversed(axes))] = 1
    points["center"] = center
    if raised:
        finite = np.isfinite(result.values)
        points["vtkGhostType"] = np.where(finite, 0, 2).astype(np.uint8)  # 2: hidden point
        height = np.where(finite, result.values, result.loss_value)
        x, y = np.meshgrid(axes[0], axes[1])
        where = _array("points", np.stack([x, y, height], axis=-1).reshape(-1, 3))
        where, kind = f"<Points>{where}</Points>", "StructuredGrid"
    else:
        names = zip("xyz", axes, strict=True)
        where = "".join(_array(name, axis) for name, axis in names)
        where, kind = f"<Coordinates>{where}</Coordinates>", "RectilinearGrid"
    extent = " ".join(f"0 {len(axis) - 1}" for axis in axes)
    file.write(
        f'<?xml version="1.0"?>\n<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian" '
        f'header_type="UInt64">\n<{kind} WholeExtent="{extent}"><Piece Extent="{extent}">\n'
        f'<PointData Scalars="loss">\n{_arrays(points)}</PointData>\n{where}\n'
        f"</Piece></{kind}></VTKFile>\n".encode()
    )


def _arrays(arrays: Mapping[str, np.ndarray]) -> str:
    # VTK lets x move fastest, as the last axis of our arrays does.
    return "".join(f"{_array(name, values.ravel())}\n" for name, values in arrays.items())


def _array(name: str, values: np.ndarray) -> str:
    """Return an array in base64, behind its length: text would not bring NaN back."""
    kind = "UInt8" if values.dtype == np.uint8 else "Float64"
    raw = values.astype("<f8" if kind == "Float64" else "u1").tobytes()
    content = base64.b64encode(len(raw).to_bytes(8, "little") + raw).decode()
    components = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
    named = quoteattr(name)
    return (
        f'<DataArray type="{kind}" Name={named}{components} format="binary">{content}</DataArray>'
    )
