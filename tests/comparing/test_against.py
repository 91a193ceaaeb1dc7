"""Checkpoints against the first of them: numbers, sentences, notes, refusals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import sharpscope as ss
from sharpscope.errors import MisuseError
from sharpscope.results import Result
from tests.comparing.makers import largest, provenance, traced
from tests.results.makers import a_gap, a_run, a_sharpness


def noted(found: ss.results.Comparison, start: str) -> bool:
    return any(note.startswith(start) for note in found.notes)


def test_a_clear_difference_is_told_in_words():
    found = ss.compare([traced("late", 925.0), traced("masam", 655.0, loss=0.55)])
    assert (found.reference, found.names) == ("late", ("late", "masam"))
    (one,) = found.differences
    assert one.difference == pytest.approx(-270)
    assert one.ratio == pytest.approx(655 / 925)
    assert one.verdict == "different"
    assert one.paired == ("probes", "batches")
    (sentence,) = found.sentences
    assert sentence.startswith("cxr: trace of masam is 0.708")
    assert " of late's, difference -270 ± " in sentence
    # Both have noise of their own beside what they share.
    errors = [entry.probe_error or 0.0 for entry in found.entries]
    assert one.probe_error is not None
    assert abs(errors[0] - errors[1]) < one.probe_error < sum(e**2 for e in errors) ** 0.5
    assert [entry.train_loss for entry in found.entries] == [0.5, 0.55]
    assert repr(found) == ("Comparison(masam with late: 1 of 1 differences beyond noise, 24.7 s)")
    assert str(found) == f"{found!r}\n  {sentence}"  # what print shows has the numbers


def test_a_small_difference_is_within_noise():
    noise = [0.05, -0.05] * 6
    found = ss.compare([traced("late", 100.0), traced("masam", 100.5, noise=noise)])
    assert found.differences[0].verdict == "within noise"
    assert found.sentences[0].endswith(": within noise")
    assert "difference +0.5 ± " in found.sentences[0]


def test_the_reference_can_be_chosen():
    found = ss.compare([traced("late", 900.0), traced("masam", 600.0)], reference="masam")
    assert found.names == ("masam", "late")
    assert found.differences[0].name == "late"
    with pytest.raises(MisuseError, match="reference must be 'late' or 'masam'; got 'sam'"):
        ss.compare([traced("late"), traced("masam")], reference="sam")


def test_every_quantity_and_modality_is_compared_and_counted():
    results = [
        make(run, modality=modality)
        for run in ("late", "masam", "sam")
        for make in (largest, traced)
        for modality in ("cxr", "ehr")
    ]
    found = ss.compare(results)
    assert found.quantities == ("trace", "lambda_max")
    assert found.modalities("trace") == ("cxr", "ehr")
    assert len(found.differences) == 2 * 2 * 2
    assert noted(found, "Each of the 8 intervals holds 95 % for itself: where nothing differs")
    assert found.entry("trace", "ehr", "sam") is not None
    assert found.difference("trace", "ehr", "late") is None


def test_a_model_without_one_of_the_modalities_is_told():
    results = [traced("late"), traced("masam"), traced("masam", modality="ehr")]
    found = ss.compare(results)
    assert noted(found, "late: no trace of ehr.")
    with pytest.raises(
        MisuseError,
        match="nothing to compare: late has trace of cxr; masam has trace of ehr",
    ):
        ss.compare([results[0], results[2]])


def test_gaps_under_the_same_draws_of_items_are_paired():
    generator = np.random.default_rng(0)
    common, own = generator.normal(size=(1, 400)), 0.1 * generator.normal(size=(2, 400))
    replicates = 9.0 + common + own
    gaps = [
        a_gap(tag=run, value=9.0, modality="all", provenance=provenance(run), replicates=values)
        for run, values in zip(("late", "masam"), replicates, strict=True)
    ]
    (difference,) = ss.compare(gaps).differences
    assert difference.data_error == pytest.approx(np.std(own[1] - own[0], ddof=1), rel=1e-9)
    assert "batches" in difference.paired
    (apart,) = ss.compare([gaps[0], replace(gaps[1], seed=1)]).differences
    assert "batches" not in apart.paired
    assert apart.data_error == pytest.approx(2**0.5)  # of the two standard errors of 1


def test_gaps_are_unpaired_and_searches_have_no_interval():
    known = {"metric": "accuracy", "modality": "all"}
    gaps = [
        a_gap(tag=run, value=value, provenance=provenance(run), **known)
        for run, value in (("late", 9.0), ("masam", 5.0))
    ]
    found = ss.compare(gaps)
    assert found.differences[0].error == pytest.approx(2**0.5)
    assert found.differences[0].interval == pytest.approx((-4 - 2.77, -4 + 2.77), abs=0.01)
    assert found.units["gap"] == "%"
    assert noted(found, "gap τ of accuracy of masam (all): data errors are unpaired and add in")
    searches = [a_sharpness(tag=run, provenance=provenance(run)) for run in ("late", "masam")]
    one = ss.compare(searches)
    assert one.differences[0].verdict == "undecided"
    assert one.sentences[0].endswith("difference 0: no interval, undecided")
    assert noted(one, "Keskar's Q, ε = 0.001, whole space of masam (cxr): no interval")


def test_sharpness_in_subspaces_pairs_by_draw_and_of_a_ball_by_batch():
    def drawn(run: str, factor: float, **more: Any) -> Result:
        values = tuple(factor * x for x in (1.0, 1.1, 0.9, 1.05, 0.95) * 2)
        own: dict[str, Any] = {"values": values, "value": factor, "standard_error": 0.02 * factor}
        told = {"tag": run, "provenance": provenance(run)}
        return a_sharpness(**(own | told | more))

    settings = {"dimension": 10}
    found = ss.compare([drawn(run, f, settings=settings) for run, f in (("a", 1.0), ("b", 1.2))])
    assert found.differences[0].paired == ("probes",)
    assert found.differences[0].error == pytest.approx(0.02 * 0.2)
    assert found.units["sharpness"] == "%"
    ball = {"settings": {"case": "worst"}, "method": "worst-case l2 sharpness, ρ = 0.05"}
    found = ss.compare([drawn(run, f, **ball) for run, f in (("a", 1.0), ("b", 1.2))])
    (one,) = found.differences
    assert one.paired == ("probes", "batches")[1:]
    values = [0.2 * x for x in (1.0, 1.1, 0.9, 1.05, 0.95) * 2]
    spread = (sum((v - 0.2) ** 2 for v in values) / 9 / 10) ** 0.5
    assert one.data_error == pytest.approx(spread)
    assert found.units["sharpness"] == "loss"


def test_what_is_not_finite_is_said():
    found = ss.compare([traced("late"), replace(traced("masam"), value=None, terms=())])
    assert found.differences[0].verdict == "not finite"
    assert found.sentences == ("cxr: trace of masam or of late is not finite",)


def test_few_probes_make_no_interval_and_one_batch_no_data_error():
    few = [replace(traced(run), probes=9) for run in ("late", "masam")]
    found = ss.compare(few)
    assert found.differences[0].interval is None
    assert noted(found, "trace of masam (cxr): no interval (a search has no error bar; of probes")
    single = [
        replace(traced(run, value), batch_parts=((value, value),), batch_shares=(1.0,),
                data_error=None)
        for run, value in (("late", 100.0), ("masam", 50.0))
    ]  # fmt: skip
    found = ss.compare(single)
    assert found.differences[0].verdict == "different"
    assert noted(found, "trace of masam (cxr): no data error (fewer than two batches")


def test_train_losses_far_apart_are_told_and_those_of_other_splits_are_the_stored_ones():
    found = ss.compare([traced("late", loss=0.04), traced("masam", loss=0.06)])
    assert noted(found, "Train losses differ (late 0.04, masam 0.06), and sharpness falls")
    test = {"split": "test", "metrics": {"train": {"fusion": {"loss": 0.123}}}}
    found = ss.compare([traced(run, provenance=test) for run in ("late", "masam")])
    assert {entry.train_loss for entry in found.entries} == {0.123}
    found = ss.compare([traced(run, provenance={"split": "test"}) for run in ("late", "masam")])
    assert {entry.train_loss for entry in found.entries} == {None}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"loss": "total"}, "the loss is total and fusion; measure both with the same --loss"),
        ({"samples": 13}, "the number of samples is 13 and 12; measure both with the same --samp"),
        (
            {"provenance": provenance("masam", split="test")},
            "the split is test and train; measure both with the same --split",
        ),
        (
            {"provenance": provenance("masam", data_fingerprint="other")},
            r"the fingerprint of the data is other and data; measure both on the same data in the",
        ),
    ],
)
def test_other_data_is_refused(change: dict[str, Any], told: str):
    late, masam = traced("late"), traced("masam")
    with pytest.raises(
        MisuseError, match=rf"trace of masam \(cxr\) cannot .* late \(cxr\): {told}"
    ):
        ss.compare([late, replace(masam, **change)])


def test_other_matrices_and_directions_are_refused():
    ggn = replace(traced("masam"), settings={"operator": "gauss-newton"})
    with pytest.raises(
        MisuseError, match=r"Gauss-Newton trace of masam .*: the matrix is gauss-new"
    ):
        ss.compare([traced("late"), ggn])

    def searched(run: str, **more: Any) -> Result:
        known = {"settings": {"epsilon": 1e-3, "max_seconds": 1.0}, "provenance": provenance(run)}
        return a_sharpness(tag=run, **(known | more))

    late = searched("late")
    with pytest.raises(
        MisuseError, match=r"the setting epsilon is 0.01 and 0.001; measure both wi"
    ):
        ss.compare([late, searched("masam", settings={"epsilon": 0.01})])
    with pytest.raises(MisuseError, match="the method is other and Keskar's Q"):
        ss.compare([late, searched("masam", method="other")])
    with pytest.raises(MisuseError, match=r"the seed of the directions is 1 and 0; .* one --seed"):
        ss.compare([late, searched("masam", seed=1)])
    gaps = [a_gap(tag=run, provenance=provenance(run)) for run in ("late", "masam")]
    with pytest.raises(MisuseError, match="the metric is macro_auroc and accuracy"):
        ss.compare([gaps[0], replace(gaps[1], metric="macro_auroc")])
    with pytest.raises(MisuseError, match="the number of train samples is 41 and 40"):
        ss.compare([gaps[0], replace(gaps[1], train_samples=41)])


def test_quantities_of_one_comparison_are_of_the_same_data_but_a_gap():
    results = [traced("late"), traced("masam"), largest("late"), largest("masam")]
    with pytest.raises(
        MisuseError, match=r"λ_max of late \(cxr\) cannot stand beside trace of late"
    ):
        ss.compare([*results[:2], *(replace(one, samples=7) for one in results[2:])])
    gaps = [
        a_gap(tag=run, samples=99, modality="all", provenance=provenance(run, split="test"))
        for run in ("late", "masam")
    ]
    found = ss.compare([*gaps, *results])
    assert (found.samples, found.split) == (12, "train")
    assert found.quantities == ("trace", "lambda_max", "gap")


def test_files_that_cannot_be_told_apart_are_refused():
    with pytest.raises(MisuseError, match=r"compare needs at least two .* groups; got late"):
        ss.compare([traced("late"), traced("late", modality="ehr")])
    with pytest.raises(MisuseError, match="late has two results for trace of cxr: leave one out"):
        ss.compare([traced("late"), traced("late"), traced("masam")])
    other = replace(traced("late"), provenance=provenance("late") | {"checkpoint_sha256": "else"})
    with pytest.raises(MisuseError, match=r"2 different checkpoints are called 'late' \(runs/late"):
        ss.compare([traced("late"), replace(other, modality="ehr")])
    bare = replace(traced("late"), tag=None, provenance={})
    with pytest.raises(MisuseError, match=r"TraceResult\(.*does not say which checkpoint it is of"):
        ss.compare([bare, traced("masam")])
    named = replace(traced("late"), tag=None)
    assert ss.compare([named, traced("masam")]).names == ("late", "masam")
    with pytest.raises(
        MisuseError, match=r"only sharpscope/trace, .* can be compared; got sharpsc"
    ):
        ss.compare([a_run()])  # pyright: ignore[reportArgumentType]


def test_an_eigenvalue_of_the_largest_magnitude_is_a_quantity_of_its_own():
    def pyhessian(run: str, value: float) -> Result:
        ends = {"largest": None, "smallest": None, "largest_magnitude": value}
        known = {"eigenvalues": (value,), "residuals": (1e-3,), "data_errors": None}
        return replace(largest(run), **ends, **known, batch_parts=())

    found = ss.compare([pyhessian("late", 9.0), pyhessian("masam", -3.0)])
    (one,) = found.differences
    assert (one.quantity, one.difference, one.ratio) == ("largest_magnitude", -12.0, None)
    assert found.labels == {"largest_magnitude": "largest |λ|"}
    assert one.bound == pytest.approx(12e-3)
    assert (one.interval, one.error, one.verdict) == (None, None, "undecided")
    assert len(found.entries) == 2
    told = r"largest \|λ\| of masam \(cxr\) cannot .* λ_max of late \(cxr\): the eigenvalue is larg"
    with pytest.raises(MisuseError, match=told):
        ss.compare([largest("late"), pyhessian("masam", 3.0)])
