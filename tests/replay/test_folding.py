"""Norms folded into the layers before them: the same numbers, and only where nothing else reads."""

from typing import Any

import pytest
import torch
from torch import nn

from sharpscope.replay.folding import Folding, FoldingRefused
from tests.replay.foldable import FOLDED, IMAGE, LEFT, Moody, seen
from tests.subject.snapshot import photograph, same


@pytest.mark.parametrize("name", FOLDED)
def test_folded_passes_are_the_plain_ones(name: str):
    build, shape, pairs = FOLDED[name]
    model, x = seen(build), torch.randn(shape, dtype=torch.float64)
    folding, before = Folding(model), photograph(model)
    with torch.no_grad():
        plain = model(x)
        assert torch.equal(folding.watched(lambda: model(x)), plain)
        with folding.folded():
            torch.testing.assert_close(model(x), plain, rtol=1e-12, atol=1e-12)
    assert folding.pairs == pairs
    same(model, before)


@pytest.mark.parametrize("name", LEFT)
def test_what_cannot_be_folded_is_left(name: str):
    build, shape = LEFT[name]
    model, x = seen(build), torch.randn(shape, dtype=torch.float64)
    folding = Folding(model)
    with torch.no_grad():
        plain = folding.watched(lambda: model(x))
        with folding.folded():
            assert torch.equal(model(x), plain)
    # A linear layer whose features are not the norm's channels is known by its input alone.
    assert not folding.pairs or name == "channels of another axis"


def test_a_norm_in_training_mode_is_left():
    model = seen(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), training=True)
    assert not Folding(model).possible


def test_each_folded_pass_calls_no_norm_and_each_block_folds_anew():
    model = seen(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)))
    folding, x = Folding(model), torch.randn(IMAGE, dtype=torch.float64)
    with torch.no_grad():
        folding.watched(lambda: model(x))
        for _ in range(3):
            with folding.folded():
                first = model(x)
                with torch.profiler.profile() as profile:
                    again = model(x)
            assert torch.equal(first, again)
            assert not any("batch_norm" in event.key for event in profile.key_averages())
            torch.testing.assert_close(first, model(x), rtol=1e-12, atol=1e-12)
            for tensor in (*model.parameters(), *model.buffers()):
                if tensor.is_floating_point():
                    tensor.data = tensor.data + torch.rand_like(tensor)


def test_statistics_changed_inside_the_block_count():
    model: Any = seen(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)))
    folding, x = Folding(model), torch.randn(IMAGE, dtype=torch.float64)
    with torch.no_grad():
        folding.watched(lambda: model(x))
        with folding.folded():
            model(x)
            model[1].running_mean.add_(3.0)
            changed = model(x)
        torch.testing.assert_close(changed, model(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        ("nothing", "a layer's norm was not called"),
        ("conv", "a layer was called again before its norm"),
        ("copy", "a norm was given something else than its layer's output"),
        ("twice", "a norm was given something else than its layer's output"),
        ("alone", "a norm was given something else than its layer's output"),
    ],
)
def test_a_pass_that_goes_another_way_is_refused(way: str, sentence: str):
    model: Any = seen(Moody)
    folding, x = Folding(model), torch.randn(3, 2, 4, 4, dtype=torch.float64)
    before = photograph(model)
    with torch.no_grad():
        folding.watched(lambda: model(x))
        model.way = way
        with pytest.raises(FoldingRefused, match=sentence), folding.folded():
            model(x)
        model.way = "norm"
    same(model, before)


def test_an_error_inside_leaves_the_model_as_it_was():
    model = seen(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)))
    folding, wrong = Folding(model), torch.randn(5, 3, 6, 7, dtype=torch.float64)
    right = torch.randn(IMAGE, dtype=torch.float64)
    before = photograph(model)
    with torch.no_grad():
        folding.watched(lambda: model(right))
        with pytest.raises(RuntimeError, match="expected input"), folding.folded():
            model(wrong)
        with pytest.raises(RuntimeError, match="expected input"):
            folding.watched(lambda: model(wrong))
    same(model, before)


def test_another_batch_may_take_a_pair_back():
    model: Any = seen(Moody)
    folding, x = Folding(model), torch.randn(3, 2, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        folding.watched(lambda: model(x))
        assert folding.pairs == {"conv": "norm"}
        model.way = "copy"
        folding.watched(lambda: model(x))
    assert folding.pairs == {}
