"""The record of a training run: what its epochs left, and what it must have."""

from dataclasses import replace

import pytest

from sharpscope.errors import MisuseError
from tests.results.makers import a_run


def test_what_the_epochs_recorded_comes_by_modality_and_in_its_order():
    run = a_run()
    assert run.modalities == ("ehr", "cxr")
    assert run.course("alignment") == {"ehr": [0.1, 0.2, 0.1 * 3], "cxr": [-0.1, -0.2, -0.1 * 3]}
    assert list(run.course("alignment")) == ["ehr", "cxr"]
    assert run.course("shares") == {}


def test_an_epoch_without_it_leaves_a_hole():
    run = a_run()
    others = run.history[1:]
    late = replace(run, history=({"epoch": 1, "loss": 1.0}, *others))
    assert late.course("dominant") == {"ehr": [None, 2, 1], "cxr": [None, 2, 3]}


def test_its_repr_says_the_recipe():
    assert repr(a_run()) == "RunRecord(toy:clean, masam, seed 0, 3 epochs, 12.3 s)"


def test_a_recipe_that_lacks_something_is_told():
    recipe = {key: value for key, value in a_run().recipe.items() if key not in ("seed", "method")}
    with pytest.raises(MisuseError, match="epochs in its recipe; it lacks method, seed"):
        replace(a_run(), recipe=recipe)
