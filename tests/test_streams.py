"""Random streams with names."""

from typing import Any

import numpy as np
import pytest
import torch

from sharpscope.streams import gaussian, rademacher, stream


def draw(*name: Any) -> torch.Tensor:
    return torch.rand(4, generator=stream(*name))


def test_the_same_name_draws_the_same_and_leaves_the_global_state():
    before = torch.get_rng_state()
    assert torch.equal(draw(0, "trace", 3), draw(0, "trace", 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_one_draw_is_pinned_for_ever():
    assert stream(0, "trace", 3).initial_seed() == 7664578943649468962


def test_names_and_seeds_do_not_collide():
    names = [(seed, *path) for seed in (0, 1, 2) for path in (("trace", 0), ("trace", 1), ("t",))]
    names += [(0, "trace", "0"), (0, "trace0"), (0, 1), (1, 0), (0,), (-1,), (0, "trace", 0, 0)]
    draws = {tuple(draw(*name).tolist()) for name in names}
    assert len(draws) == len(names)


def test_run_1_of_seed_0_is_not_run_0_of_seed_1():
    assert not torch.equal(draw(0, "trace", 1), draw(1, "trace", 0))


def test_integers_of_numpy_name_the_same_streams():
    assert torch.equal(draw(np.int64(3), "trace", np.int32(2)), draw(3, "trace", 2))


@pytest.mark.parametrize("seed", [None, 0.0])
def test_a_seed_is_an_integer(seed: Any):
    with pytest.raises(TypeError):
        stream(seed, "trace")


def test_more_probes_extend_the_draws():
    few = [rademacher(7, stream(0, "trace", i)) for i in range(3)]
    more = [rademacher(7, stream(0, "trace", i)) for i in range(5)]
    assert all(torch.equal(a, b) for a, b in zip(few, more, strict=False))


def test_signs_and_normals_are_what_they_say():
    signs = rademacher(10_000, stream(0, "a"))
    assert signs.dtype == torch.int8
    assert set(signs.tolist()) == {-1, 1}
    assert abs(signs.float().mean()) < 0.04
    normals = gaussian(10_000, stream(0, "a"))
    assert normals.dtype == torch.float32
    assert abs(normals.mean()) < 0.04
    assert abs(normals.std() - 1) < 0.03
