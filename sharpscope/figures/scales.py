"""Scales of colors and heights, shared by all panels or by those of an encoder."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.captions import said
from sharpscope.figures.naming import modalities_of
from sharpscope.figures.planes import grid_of
from sharpscope.results import LandscapeResult

# What ``colors`` can be: one scale for all panels, or one for each encoder.
SHARING = ("shared", "encoder")


def scale_of(
    results: Sequence[LandscapeResult], quantity: str, *, ceiling: float | None = None
) -> Normalize:
    """Return one scale for all: logarithmic where everything is above 0 and spans a factor of 3.

    Raises:
        MisuseError: If no point is finite, or none at most the ceiling.
    """
    every = np.concatenate([np.ma.compressed(grid_of(result, quantity)) for result in results])
    if ceiling is not None:
        every = every[every <= ceiling]
    if not every.size:
        under = "" if ceiling is None else f" and at most {ceiling:g}"
        raise MisuseError(f"there is no landscape to draw: no point is finite{under}")
    low, high = float(every.min()), float(every.max())
    if quantity == "loss" and low > 0 and high > 3 * low:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1.0)


def scales_of(
    results: Sequence[LandscapeResult],
    quantity: str,
    colors: str,
    *,
    ceiling: float | None = None,
) -> dict[str, Normalize]:
    """Return the scale of each encoder by its name; one and the same where colors are shared.

    Raises:
        MisuseError: If there is no such way to share, or an encoder has no point to draw.
    """
    one_of("colors", colors, SHARING)
    names = modalities_of(results)
    if colors == "shared":
        return dict.fromkeys(names, scale_of(results, quantity, ceiling=ceiling))
    own = {name: [result for result in results if result.modality == name] for name in names}
    return {name: scale_of(found, quantity, ceiling=ceiling) for name, found in own.items()}


def ends_of(scale: Normalize) -> str:
    """Return the kind of a scale and where it begins and ends."""
    kind = "logarithmic" if isinstance(scale, LogNorm) else "linear"
    return f"{kind} from {scale.vmin:.3g} to {scale.vmax:.3g}"


def sharing_told(scales: dict[str, Normalize], colors: str, what: str) -> str:
    """Return which panels share what, and its ends, as a sentence."""
    if colors == "shared" or len(scales) == 1:
        return f"all panels share {what}, {ends_of(next(iter(scales.values())))}"
    told = said(f"{name} {ends_of(scale)}" for name, scale in scales.items())
    return (
        f"panels of one encoder share {what}, by which methods compare within a column and "
        f"encoders do not: {told}"
    )


def check_columns(results: Sequence[LandscapeResult], columns: int, most: int) -> None:
    """Refuse a scale for each encoder where no column of panels is of one encoder.

    Args:
        results: In the order of the panels, row by row.
        columns: Panels in a row.
        most: How many there is room for.

    Raises:
        MisuseError: If it is so.
    """
    names = modalities_of(results)
    found = [result.modality for result in results]
    if columns != len(names) or found != names * (len(found) // columns):
        raise MisuseError(
            "colors 'encoder' needs a column for each encoder: every method with each of "
            f"{said(names)}, once, and at most {most} of them at this width"
        )
