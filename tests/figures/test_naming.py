"""What curves are called: the method, what differs within it, and never the seed."""

from dataclasses import replace

from sharpscope.figures.naming import each_named, modalities_of, named
from sharpscope.results import TraceResult
from tests.figures import toy
from tests.results.makers import a_trace


def test_seeds_share_a_name_and_settings_that_differ_are_in_it():
    runs = [
        toy.run("late"),
        toy.run("masam", rho=0.1),
        toy.run("masam", rho=0.2),
        toy.run("masam", rho=0.2, seed=1),
    ]
    assert {name: len(found) for name, found in named(runs).items()} == {
        "late fusion": 1,
        "MASAM, ρ = 0.1": 1,
        "MASAM, ρ = 0.2": 2,
    }
    assert list(named(runs, apart=("rho",))) == ["late fusion", "MASAM"]


def test_another_epoch_is_another_name_unless_it_is_along_x():
    results = [toy.trace("late", "ehr", epoch=epoch) for epoch in (1, 2)]
    assert list(named(results)) == ["late fusion, epoch 1", "late fusion, epoch 2"]
    assert list(named(results, epochs=False)) == ["late fusion"]


def test_files_without_a_recipe_are_named_by_themselves():
    theirs = {"provenance": {"checkpoint": "theirs.epoch0003.pt"}}
    assert list(named([a_trace(tag="theirs.epoch0003", **theirs)])) == ["theirs"]
    assert list(named([a_trace(provenance={})])) == ["model"]


def test_files_of_one_name_in_two_folders_are_two_runs():
    def theirs(folder: str, epoch: int) -> TraceResult:
        name = f"late.epoch000{epoch}"
        return a_trace(tag=name, provenance={"checkpoint": f"{folder}/{name}.pt", "epoch": epoch})

    assert list(named([theirs("A", 1), theirs("B", 2)], epochs=False)) == ["A/late", "B/late"]
    assert list(named([theirs("A", 1), theirs("A", 2)], epochs=False)) == ["late"]


def test_a_tag_that_holds_the_name_of_the_file_was_chosen_all_the_same():
    def tagged(tag: str) -> list[str]:
        return list(named([replace(toy.trace("masam", "ehr"), tag=tag)]))

    for chosen in ("s0-ema", "ema-s0", "raws0"):
        assert tagged(chosen) == [chosen]
    for made in ("s0", "runs-s0", "s0-2", "runs-s0-2", "s0.epoch0003"):
        assert tagged(made) == ["MASAM"]


def test_a_tag_that_is_the_name_of_the_method_is_none():
    def tagged(tag: str, method: str) -> list[str]:
        return list(named([replace(toy.trace(method, "ehr"), tag=tag)]))

    assert tagged("masam", "masam") == ["MASAM"]
    assert tagged("masam", "late") == ["masam"]
    assert list(named([a_trace(tag="late", provenance={})])) == ["late"]  # nothing is known of it


def test_encoders_stand_in_the_order_of_the_model():
    results = [toy.trace("late", "cxr"), a_trace(modality="shared"), toy.trace("late", "ehr")]
    assert modalities_of(results) == ["ehr", "cxr", "shared"]


def test_two_of_a_name_are_told_apart_by_seed_else_by_tag():
    seeds = [toy.trace("late", "ehr", seed=seed) for seed in (0, 1)]
    assert each_named(seeds) == ["late fusion, seed 0", "late fusion, seed 1"]
    assert each_named([*seeds[:1], toy.trace("late", "cxr", seed=1)]) == ["late fusion"] * 2
    twice = [seeds[0], seeds[0]]
    assert each_named(twice) == ["s0", "s0"]
