"""Surfaces of equal value in a volume, by marching tetrahedra; what is not finite is a hole.

plotly's own isosurface takes a value that is missing for 0 and closes its shells around it.
"""

from collections.abc import Sequence

import numpy as np

# The six tetrahedra along a cube's diagonal; a corner's number has a bit for each of x, y and z.
# Neighboring cubes are cut alike, so that no crack opens between them.
_TETRAHEDRA = np.array(
    [[0, 1, 3, 7], [0, 1, 5, 7], [0, 2, 3, 7], [0, 2, 6, 7], [0, 4, 5, 7], [0, 4, 6, 7]]
)
_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def shell(
    axes: Sequence[np.ndarray], values: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return points ``[n, (x, y, z)]`` and triangles ``[m, 3]`` of the surface ``values = level``.

    Args:
        axes: Coordinates along x, y and z.
        values: ``[z, y, x]``; a cell with a corner that is not finite is left out.
        level: The value on the surface.
    """
    where, held = _tetrahedra(axes, values)
    above = held > level
    count = above.sum(axis=1)
    single = (count == 1) | (count == 3)
    # The corner that is alone on its side, against the three others.
    alone = np.where(count == 1, above.argmax(axis=1), (~above).argmax(axis=1))[single]
    triangles = [_cut(where[single], held[single], level, alone[:, None], _OTHERS[alone])]
    order = np.argsort(above[count == 2], axis=1, kind="stable")  # two below, then two above
    low, high = order[:, [0, 0, 1, 1]], order[:, [2, 3, 3, 2]]
    quads = _cut(where[count == 2], held[count == 2], level, low, high)
    triangles += [quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]
    corners = np.concatenate(triangles).reshape(-1, 3)
    points, numbers = np.unique(np.round(corners, 9), axis=0, return_inverse=True)
    return points, numbers.reshape(-1, 3)


def _tetrahedra(axes: Sequence[np.ndarray], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return corners ``[t, 4, 3]`` and values ``[t, 4]`` of all whose cube is finite."""
    z, y, x = np.meshgrid(*reversed(axes), indexing="ij")
    grid = np.stack([x, y, z], axis=-1)
    cut = {0: slice(None, -1), 1: slice(1, None)}
    places = [(cut[n >> 2 & 1], cut[n >> 1 & 1], cut[n & 1]) for n in range(8)]
    held = np.stack([values[place].ravel() for place in places], axis=1)
    where = np.stack([grid[place].reshape(-1, 3) for place in places], axis=1)
    whole = np.isfinite(held).all(axis=1)
    return (
        where[whole][:, _TETRAHEDRA].reshape(-1, 4, 3),
        held[whole][:, _TETRAHEDRA].reshape(-1, 4),
    )


def _cut(
    where: np.ndarray, held: np.ndarray, level: float, start: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Return where the value is ``level`` on the edges from ``start`` to ``end``."""
    rows = np.arange(len(where))[:, None]
    first, last = held[rows, start], held[rows, end]
    share = ((level - first) / (last - first))[..., None]
    return where[rows, start] + share * (where[rows, end] - where[rows, start])
