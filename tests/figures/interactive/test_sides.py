"""Which numbers stand side by side: of one matrix, of one data set, one in each place."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from sharpscope.figures.density import floor_of
from sharpscope.figures.interactive import look
from tests.results.makers import (
    a_contribution,
    a_coupling,
    a_density,
    a_gap,
    a_landscape,
    a_run,
    a_sharpness,
    a_trace,
    an_eigen,
)

GGN = {"operator": "gauss-newton"}


def places(figure: Any) -> Counter[tuple[Any, ...]]:
    """Return how many bars stand in each place of a figure."""
    return Counter((bar.name, x) for bar in figure.data for x in bar.x)


def test_two_matrices_and_two_data_sets_of_one_tag_are_other_figures():
    results = [
        a_trace(tag="late"),
        an_eigen(tag="late"),
        a_trace(tag="late", settings=GGN, value=5.0),
        a_trace(tag="late", samples=500, provenance={"checkpoint_sha256": "abc", "split": "test"}),
    ]
    groups = look(results)
    assert [panels.title for panels in groups] == [
        "Numbers side by side, fusion loss, mean over 12 samples, Hessian",
        "Numbers side by side, fusion loss, mean over 12 samples, Gauss-Newton matrix",
        "Numbers side by side, fusion loss, mean over 500 test samples, Hessian",
    ]
    for panels in groups:
        for figure in panels.figures:
            assert set(places(figure).values()) == {1}
    first, second, third = groups
    assert "Trace and λ_max: Hessian, fusion loss, mean over 12 samples" in first.caption
    assert second.figures[0].layout.yaxis.title.text.startswith("Gauss-Newton trace (")
    assert "Trace: Gauss-Newton matrix, fusion loss" in second.caption
    assert "mean over 500 test samples" in third.caption


def test_a_number_taken_twice_never_hides_the_first():
    groups = look([a_trace(tag="late"), a_trace(tag="late", seed=1, value=2.0)])
    assert [panels.title for panels in groups] == [
        "Numbers side by side (1)",
        "Numbers side by side (2)",
    ]
    assert [list(panels.figures[0].data[0].y) for panels in groups] == [[925.62], [2.0]]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (a_gap(tag="a"), a_gap(tag="b", metric="macro_auroc")),
        (a_sharpness(tag="a"), a_sharpness(tag="b", method="Keskar's Q, ε = 0.1")),
        (a_contribution(tag="a"), a_contribution(tag="b", settings={"kind": "neg_loss"})),
        (a_density(tag="a"), a_density(tag="b", settings=GGN)),
        (
            a_landscape(tag="a"),
            a_landscape(tag="b", provenance={"split": "test"}),
        ),
    ],
)
def test_measures_that_differ_share_no_figure(first: Any, second: Any):
    together = look([first, second])
    for panels in together:
        titles = Counter(
            trace.name for figure in panels.figures for trace in figure.data if trace.name
        )
        assert not {"a", "b"} <= set(titles)
    assert len(together) >= 2


def test_two_checkpoints_of_one_tag_are_told_apart_everywhere():
    both = [{"checkpoint_sha256": name * 8} for name in ("1", "2")]
    bars, *others = look(
        [make(tag="late", provenance=of) for make in (a_trace, a_density) for of in both]
    )
    assert [bar.name for bar in bars.figures[0].data] == ["late (11111111)", "late (22222222)"]
    names = [trace.name for trace in others[0].figures[0].data]
    assert list(dict.fromkeys(names)) == ["late (11111111)", "late (22222222)"]
    planes = look([a_landscape(tag="late", provenance=of) for of in both])
    assert [figure.layout.title.text for figure in planes[0].figures] == [
        "late (11111111) · cxr",
        "late (22222222) · cxr",
    ]
    seeds = look([a_landscape(tag="a", seed=seed) for seed in (0, 1)])[0].figures
    assert [figure.layout.title.text for figure in seeds] == [
        "a · seed 0 · cxr",
        "a · seed 1 · cxr",
    ]
    loss = look([a_run(tag="x", checkpoint=path) for path in ("a.pt", "b.pt")])[0].figures[0]
    assert [trace.name for trace in loss.data] == ["x (a.pt)", "x (b.pt)"]


def test_error_bars_claim_the_data_only_where_it_was_measured():
    (known,) = look([a_trace(tag="a")])
    assert "of the random probes and of the data together" in known.caption
    (bare,) = look([a_trace(tag="a", data_error=None), an_eigen(tag="a")])
    assert "of trace one standard error of the random probes; of λ_max the" in bare.caption
    assert "and of the data" not in bare.caption
    (mixed,) = look([a_trace(tag="a"), a_trace(tag="b", data_error=None)])
    assert "(where the data's is not known, one standard error of the random" in mixed.caption


def test_the_scale_of_densities_ends_where_it_does_in_print():
    many = a_density(parameters=10**9)
    figure = look([many])[-1].figures[0]
    assert figure.layout.yaxis.range[0] == pytest.approx(np.log10(floor_of([many])))


def test_numbers_without_a_matrix_stand_beside_those_with_one():
    (panels,) = look([a_trace(), a_coupling(), a_sharpness(), a_gap(), a_contribution()])
    assert len(panels.figures) == 7


def test_a_caption_tells_the_metric_once():
    (panels,) = look([a_contribution()])
    assert "accuracy, zero_input, fusion loss" in panels.caption
    assert "accuracy, accuracy" not in panels.caption
