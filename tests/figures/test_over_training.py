"""Dominance, alignment and traces over epochs: lines, bands, shared scales, and refusals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw_alignment, draw_course, draw_dominance
from tests.figures import toy
from tests.results.makers import a_run


def lines(axes: Any) -> dict[str, list[float]]:
    """Return what each labelled line goes through."""
    return {
        line.get_label(): np.round(np.asarray(line.get_ydata(), dtype=float), 9).tolist()
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def band(axes: Any, place: int = 0) -> tuple[float, float]:
    """Return the lowest and the highest point of a band."""
    y = axes.collections[place].get_paths()[0].vertices[:, 1]
    return float(y.min()), float(y.max())


def test_dominance_is_the_share_of_steps_beside_scores_and_alignment():
    figure = draw_dominance([toy.run("masam")])
    dominated, scores, alignment = figure.axes
    assert lines(dominated) == {"ehr": [0.75, 0.5, 0.25], "cxr": [0.25, 0.5, 0.75]}
    assert lines(scores) == {"ehr": [0.5] * 3, "cxr": [0.4] * 3}
    assert lines(alignment) == {"ehr": [0.1, 0.2, 0.3], "cxr": [-0.1, -0.2, -0.3]}
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "steps dominated",
        "score",
        "alignment γ",
    ]
    assert alignment.get_xlabel() == "epoch"
    assert dominated.get_title() == "MASAM"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ehr", "cxr"]
    assert len({line.get_linestyle() for line in dominated.lines}) == 2  # told apart in grey


def test_methods_stand_side_by_side_on_one_scale_and_what_is_missing_is_said():
    shares = {"dominant": {"ehr": 3, "cxr": 1}, "shares": {"ehr": 0.9, "cxr": 0.1}}
    entries = tuple({"epoch": e, "loss": 1.0, **shares} for e in (1, 2))
    figure = draw_dominance([toy.run("masam"), a_run(recipe={"method": "msam"}, history=entries)])
    assert [axes.get_title() for axes in figure.axes[:2]] == [
        "quadratic:plain, MASAM",
        "toy:clean, M-SAM",
    ]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    told = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert told == [[], [], [], ["not recorded"], [], ["not recorded"], ["not recorded"], []]


def test_seeds_are_a_mean_with_its_interval():
    first = toy.run("masam", seed=1)
    other = tuple({**entry, "alignment": {"ehr": 0.3, "cxr": 0.0}} for entry in first.history)
    second = replace(first, recipe={**first.recipe, "seed": 2}, history=other)
    figure = draw_alignment([first, second])
    ehr, cxr = figure.axes
    assert lines(ehr) == {"MASAM": [0.2, 0.25, 0.3]}
    assert lines(cxr) == {"MASAM": [-0.05, -0.1, -0.15]}
    # The interval of two seeds would hide all else: their band reaches from one to the other.
    assert band(ehr) == (pytest.approx(0.1), pytest.approx(0.3))
    told = caption_of([first, second], "alignment")
    assert "means over seeds (2 seeds each), bands reach from one seed to the other" in told
    apart = tuple({**entry, "alignment": {"ehr": -0.9, "cxr": 0.0}} for entry in first.history)
    third = replace(first, recipe={**first.recipe, "seed": 3}, history=apart)
    ehr, cxr = draw_alignment([first, second, third]).axes
    half = t.ppf(0.975, 2) * np.std([0.1, 0.3, -0.9], ddof=1) / 3**0.5
    assert -0.5 / 3 - half < -1
    assert band(ehr)[0] == -1.0  # a cosine has ends, and its interval is cut there
    assert ehr.get_ylim() == cxr.get_ylim()
    assert ehr.get_ylim()[0] >= -1.04
    told = caption_of([first, second, third], "alignment")
    assert "means over seeds (3 seeds each), bands their 95 % intervals" in told
    assert "Bands are cut at -1 and 1, the ends of a cosine." in told
    assert "cut at" not in caption_of([first], "alignment")


def test_shares_and_cosines_of_dominance_are_cut_at_their_ends():
    first = toy.run("masam", seed=1)
    other = tuple(
        {**entry, "alignment": {"ehr": 0.3, "cxr": 0.0}, "dominant": {"ehr": 4, "cxr": 0}}
        for entry in first.history
    )
    apart = tuple(
        {**entry, "alignment": {"ehr": -0.9, "cxr": 0.0}, "dominant": {"ehr": 0, "cxr": 4}}
        for entry in first.history
    )
    seeds = [
        first,
        replace(first, recipe={**first.recipe, "seed": 2}, history=other),
        replace(first, recipe={**first.recipe, "seed": 3}, history=apart),
    ]
    dominated, scores, alignment = draw_dominance(seeds).axes
    assert (min(band(dominated)), max(band(dominated))) == (0.0, 1.0)
    assert min(band(alignment)) == -1.0
    assert band(scores) == (0.5, 0.5)
    told = caption_of(seeds, "dominance")
    assert "Bands are cut at the ends of a share, 0 and 1, and of a cosine, -1 and 1." in told
    assert "cut at" not in caption_of([first], "dominance")


def test_alignment_over_epochs_from_contributions_of_kept_checkpoints():
    results = [
        toy.contribution(
            method, epoch=epoch, alignment={"ehr": 0.1 * epoch, "cxr": 0.5}, tag=f"s0.epoch{epoch}"
        )
        for method in ("late", "masam")
        for epoch in (1, 2, 3)
    ]
    ehr, cxr = draw_alignment(results).axes
    assert lines(ehr) == {"late fusion": [0.1, 0.2, 0.3], "MASAM": [0.1, 0.2, 0.3]}
    assert lines(cxr)["MASAM"] == [0.5] * 3
    assert band(cxr) == pytest.approx((0.5 - 0.196, 0.5 + 0.196))
    assert "the error over batches, times 1.96" in caption_of(results, "alignment")


def course(scale: float = 1.0) -> list[Any]:
    return [
        toy.trace(method, modality, epoch=epoch, scale=scale ** (epoch - 1))
        for method in ("late", "masam")
        for modality in ("cxr", "ehr")
        for epoch in (1, 2, 3)
    ]


def test_traces_over_epochs_are_the_known_ones_with_their_intervals():
    figure = draw_course(course())
    ehr, cxr = figure.axes  # in the order of the model, not of the files
    assert [axes.get_title() for axes in figure.axes] == ["ehr", "cxr"]
    assert lines(ehr) == {"late fusion": [2.5] * 3, "MASAM": [0.625] * 3}
    assert lines(cxr) == {"late fusion": [6.0] * 3, "MASAM": [1.5] * 3}
    assert band(cxr) == pytest.approx((5.4, 6.6))
    assert ehr.get_ylim() == cxr.get_ylim()
    assert ehr.get_ylabel() == "trace / parameter"
    assert ehr.get_yscale() == "linear"
    plain = draw_course(course(), quantity="trace")
    assert lines(plain.axes[1])["late fusion"] == [12.0] * 3


def test_a_wide_range_is_logarithmic_only_above_zero():
    assert draw_course(course(scale=10.0)).axes[0].get_yscale() == "log"
    low, high = draw_course(course(scale=10.0)).axes[0].get_ylim()
    assert low < 0.625 * 0.9
    assert high > 600 * 1.1
    saddle = [replace(one, value=-1.0, normalized={"per_parameter": -0.5}) for one in course()[:1]]
    assert draw_course([*saddle, *course(scale=10.0)[1:]]).axes[0].get_yscale() == "linear"


def test_a_logarithm_of_less_than_two_decades_has_plain_numbers():
    axes = draw_course(course(scale=2.0)).axes[0]  # a factor of 38
    assert axes.get_yscale() == "log"
    shown = [text.get_text() for text in axes.get_yticklabels()]
    assert shown == ["1", "3", "10", "30"]
    assert not any(text.get_text() for text in axes.get_yticklabels(minor=True))


def test_an_epoch_that_a_seed_lacks_is_left_out_of_the_mean():
    results = [toy.trace("late", "ehr", epoch=e, seed=s) for s in (0, 1) for e in (1, 2, 3)]
    (axes,) = draw_course(results[:-1]).axes
    (line,) = [line for line in axes.lines if line.get_label() == "late fusion"]
    assert np.asarray(line.get_xdata()).tolist() == [1, 2]


def test_what_cannot_be_drawn_over_training():
    with pytest.raises(MisuseError, match="runs of late record nothing of which modality domin"):
        draw_dominance([toy.run("late")])
    with pytest.raises(MisuseError, match="runs of late record no alignment; those of masam do"):
        draw_alignment([toy.run("late")])
    with pytest.raises(MisuseError, match="γ of a run is a mean over training steps"):
        draw_alignment([toy.run("masam"), toy.contribution("masam", epoch=1)])
    with pytest.raises(MisuseError, match="of at least two kept checkpoints"):
        draw_alignment([toy.contribution("masam", epoch=1)])
    with pytest.raises(MisuseError, match="a contribution without alignment has nothing to draw"):
        draw_alignment([toy.contribution("masam", epoch=1, alignment={})])
    with pytest.raises(MisuseError, match="needs results whose checkpoints store an epoch"):
        draw_course([toy.trace("late", "ehr")])
    with pytest.raises(MisuseError, match="needs at least two epochs"):
        draw_course([toy.trace("late", "ehr", epoch=1)])
    with pytest.raises(MisuseError, match="must be of one loss; got fusion and image"):
        draw_course([replace(course()[0], loss="image"), course()[1]])
    with pytest.raises(MisuseError, match=r"two records of late fusion, seed 0 \(ehr, epoch 1\)"):
        draw_course([course()[3], *course()])
    with pytest.raises(MisuseError, match="no per_parameter is finite"):
        draw_course([replace(one, value=None, normalized={}) for one in course()])
    with pytest.raises(MisuseError, match="room for 2 methods side by side; got 3"):
        draw_dominance([toy.run("masam", rho=rho) for rho in (0.1, 0.2, 0.3)], width="column")
    for draw in (draw_dominance, draw_alignment, draw_course):
        with pytest.raises(MisuseError, match="there is no result to draw"):
            draw([])
        with pytest.raises(MisuseError, match="width must be 'text', 'column' or 'page'"):
            draw([toy.run("masam")], width="wide")  # pyright: ignore[reportArgumentType]
