"""What one scale or one mean does not hold is refused, and what it holds is named."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from sharpscope.errors import MisuseError
from sharpscope.figures import (
    caption_of,
    draw_alignment,
    draw_bars,
    draw_contribution,
    draw_course,
    draw_density,
    draw_dominance,
    draw_unimodal,
)
from sharpscope.figures.alike import check_alike
from sharpscope.results import Result
from tests.figures import toy
from tests.results.makers import a_contribution, a_density, a_gap, a_landscape, a_trace

GGN, FD = {"operator": "gauss-newton"}, {"operator": "finite-difference"}


def traces(**changes: Any) -> list[Any]:
    return [replace(toy.trace(name, "ehr"), **changes) for name in ("late", "masam")]


def kept(method: str = "late", seeds: Sequence[int] = (0,), **changes: Any) -> list[Any]:
    found = [toy.trace(method, "ehr", epoch=e, seed=s) for s in seeds for e in (1, 2, 3)]
    return [replace(result, **changes) for result in found]


def test_numbers_of_two_matrices_stand_on_no_one_scale():
    mixed = [*traces()[:1], *traces(settings=GGN)[1:]]
    told = "of one matrix; got Gauss-Newton matrix and Hessian"
    with pytest.raises(MisuseError, match=told):
        draw_bars(mixed)
    with pytest.raises(MisuseError, match=told):
        draw_course([*kept(), *kept("masam", settings=GGN)])
    with pytest.raises(MisuseError, match=told):
        draw_density([a_density(), a_density(settings=GGN)])


def test_a_caption_alone_is_refused_as_the_figure_is():
    planes = [a_landscape(tag="a"), a_landscape(tag="b", loss="cxr")]
    for records, kind in (
        ([*kept(), *kept("masam", settings=GGN)], "course"),
        ([a_density(), a_density(settings=GGN)], "density"),
        (planes, "contours"),
        (planes, "surfaces"),
    ):
        with pytest.raises(MisuseError, match="results on one scale must be of one"):
            caption_of(records, kind)
    with pytest.raises(MisuseError, match="a mean over seeds must be of the same data"):
        caption_of([*kept(), *kept(seeds=(1,), samples=99)], "course")


def test_the_matrix_is_in_labels_and_captions():
    (axes,) = draw_bars(traces(settings=GGN)).axes
    assert axes.get_ylabel() == "Gauss-Newton trace\n(loss / parameter²)"
    assert "Trace of the Gauss-Newton matrix: hutch++" in caption_of(traces(settings=GGN), "bars")
    assert "Trace of the Hessian by finite differences" in caption_of(traces(settings=FD), "bars")
    assert "Trace of the Hessian: hutch++" in caption_of(traces(), "bars")
    own = kept(settings=GGN)
    assert draw_course(own).axes[0].get_ylabel() == "Gauss-Newton trace / parameter"
    assert caption_of(own, "course").startswith("Gauss-Newton trace of each encoder over")
    assert caption_of(kept(), "course").startswith("Hessian trace of each encoder over")
    assert "each encoder's Gauss-Newton matrix: " in caption_of([a_density(settings=GGN)])


def test_gaps_of_two_metrics_stand_on_no_one_scale():
    gaps = [a_gap(tag="a"), a_gap(tag="b", metric="macro_auroc")]
    with pytest.raises(MisuseError, match="must be of one metric; got accuracy and macro_auroc"):
        draw_bars(gaps)


def test_a_mean_is_over_seeds_on_the_same_data():
    one, two = toy.trace("late", "ehr"), toy.trace("late", "ehr", seed=1)
    with pytest.raises(MisuseError, match=r"late fusion \(ehr\) is of 12 and 5,000 samples"):
        draw_bars([one, replace(two, samples=5000)])

    def on(result: Any, data: str) -> Any:
        return replace(result, provenance={**result.provenance, "data_fingerprint": data})

    with pytest.raises(MisuseError, match=r"same data; .* is of data with 2 fingerprints"):
        draw_bars([on(one, "a"), on(two, "b")])
    assert draw_bars([on(one, "a"), on(two, "a")]).axes


def test_the_seeds_behind_each_number_are_counted_as_they_are_drawn():
    results: list[Result] = [
        toy.trace(method, "ehr", seed=seed) for method in ("late", "masam") for seed in (0, 1, 2)
    ]
    assert "means over seeds (3 seeds each)" in caption_of(results, "bars")
    with_gaps = [*results, toy.gap("late"), toy.gap("masam")]
    told = caption_of(with_gaps, "bars")
    assert "(trace: 3 seeds each; generalization gap: one seed)" in told
    results[2] = replace(toy.trace("late", "ehr", seed=2), value=None)
    told = caption_of(results, "bars")
    assert "(2 seeds of late fusion; 3 seeds of MASAM)" in told
    assert "Left out, not finite: trace of late fusion, seed 2 (ehr)." in told


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"metric": "macro_auroc"}, "metric"),
        ({"settings": {"kind": "neg_loss", "mask": "zero_input"}}, "performance"),
        ({"settings": {"kind": "accuracy", "mask": "mean_input"}}, "mask"),
        (
            {"settings": {"kind": "accuracy", "mask": "zero_input", "normalize": "raw"}},
            "normalization",
        ),
        ({"samples": 5000}, "number of samples"),
        ({"loss": "total"}, "loss"),
        ({"provenance": {"split": "train", "checkpoint": "late.pt"}}, "split"),
    ],
)
def test_contributions_of_unlike_things_are_refused(changes: dict[str, Any], what: str):
    with pytest.raises(MisuseError, match=f"results on one scale must be of one {what}; got"):
        draw_contribution([a_contribution(tag="a"), a_contribution(tag="b", **changes)])


def test_alignment_of_other_splits_is_refused_and_its_items_are_told():
    def found(**changes: Any) -> list[Any]:
        return [toy.contribution("late", epoch=epoch, **changes) for epoch in (1, 2)]

    other = [toy.contribution("masam", epoch=1, loss="total")]
    with pytest.raises(MisuseError, match="must be of one loss; got fusion and total"):
        draw_alignment([*found(), *other])
    with pytest.raises(MisuseError, match="must be of one number of samples; got 12 and 99"):
        draw_alignment([*found(), toy.contribution("masam", epoch=1, samples=99)])
    assert "over 12 training samples of quadratic:plain, in eval mode" in caption_of(
        found(), "alignment"
    )
    assert "whole split" not in caption_of(found(), "alignment")


def test_a_scatter_means_no_unlike_data():
    two = [toy.contribution("late", seed=0), toy.contribution("late", seed=1, samples=99)]
    with pytest.raises(MisuseError, match="a mean over seeds must be of the same data"):
        draw_unimodal(two)


def test_the_band_of_a_single_seed_beside_means_is_told():
    told = caption_of([*kept(seeds=(0, 1, 2)), *kept("masam")], "course")
    assert "(3 seeds of late fusion; 1 seed of MASAM), bands their 95 % intervals" in told
    assert "of a single seed bands are 95 % intervals over random probes" in told
    assert "single seed" not in caption_of(kept(seeds=(0, 1)), "course")
    runs = [toy.run("masam", seed=seed) for seed in (0, 1)]
    lone = toy.run("masam", rho=0.1)
    told = caption_of([*runs, lone], "dominance")
    assert "of a single seed a line is one run and has no band" in told
    assert "of a single seed a line is one run" in caption_of([*runs, lone], "alignment")


def test_an_epoch_that_is_left_out_is_told():
    results = kept(seeds=(0, 1))
    assert "Left out" not in caption_of(results, "course")
    assert "Left out, not finite or missing in a seed: epoch 3 of late fusion, ehr" in caption_of(
        results[:-1], "course"
    )
    lost = [replace(results[0], value=None, normalized={}), *results[1:3]]
    assert "missing in a seed: epoch 1 of late fusion, ehr" in caption_of(lost, "course")
    run = toy.run("masam")
    silent = {**run.history[1], "alignment": {"ehr": None, "cxr": 0.1}}
    broken = replace(run, history=(run.history[0], silent, run.history[2]))
    draw_dominance([broken])
    assert "epoch 2 of MASAM, alignment γ of ehr." in caption_of([broken], "dominance")
    assert "missing in a seed: epoch 2 of MASAM, ehr." in caption_of([broken], "alignment")


def test_other_numbers_have_no_matrix():
    check_alike([a_gap(), a_gap(settings=GGN)])
    with pytest.raises(MisuseError, match="one matrix"):
        check_alike([a_trace(), a_trace(settings=GGN)])
