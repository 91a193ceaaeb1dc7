"""Surfaces of equal value: exact where the value is linear, round for a ball, open at holes."""

import numpy as np
import pytest

from sharpscope.figures.interactive.shells import shell

X, Y, Z = np.linspace(-1, 1, 9), np.linspace(-1, 1, 11), np.linspace(-1, 1, 13)


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    z, y, x = np.meshgrid(Z, Y, X, indexing="ij")
    return x, y, z


def area(points: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = (points[triangles[:, place]] for place in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_linear_value_has_a_plane_of_the_right_area(axis: int):
    points, triangles = shell((X, Y, Z), grid()[axis], 0.33)
    np.testing.assert_allclose(points[:, axis], 0.33)
    assert area(points, triangles) == pytest.approx(4.0)


def test_a_slanted_plane_is_exact():
    x, y, z = grid()
    points, triangles = shell((X, Y, Z), x + y + z, 0.1)
    np.testing.assert_allclose(points.sum(axis=1), 0.1, atol=1e-8)
    # The section of the cube |x|, |y|, |z| <= 1 by x + y + z = s is a hexagon for |s| <= 1.
    assert area(points, triangles) == pytest.approx(np.sqrt(3) * (3 - 0.1**2), rel=1e-6)


def test_a_ball_is_closed_and_round():
    x, y, z = grid()
    points, triangles = shell((X, Y, Z), x**2 + y**2 + z**2, 0.63)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 0.63**0.5, atol=0.03)
    assert area(points, triangles) == pytest.approx(4 * np.pi * 0.63, rel=0.05)
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert set(counts) == {2}  # every edge has two sides: no crack


def test_what_is_not_finite_is_a_hole_and_changes_nothing_else():
    values = grid()[2].copy()
    whole = area(*shell((X, Y, Z), values, 0.05))
    values[6, 5, 4], values[7, 0, 0] = np.nan, np.inf
    points, triangles = shell((X, Y, Z), values, 0.05)
    np.testing.assert_allclose(points[:, 2], 0.05)
    cell = (X[1] - X[0]) * (Y[1] - Y[0])
    assert area(points, triangles) == pytest.approx(whole - 5 * cell)  # four cells, and a corner


def test_a_value_that_is_nowhere_has_no_surface():
    points, triangles = shell((X, Y, Z), grid()[0], 7.0)
    assert (points.shape, triangles.shape) == ((0, 3), (0, 3))
