"""What a comparison must not claim: runs counted twice, errors that nobody knows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import sharpscope as ss
from sharpscope.comparing.errors import data_spread
from sharpscope.comparing.measurement import measurement
from sharpscope.comparing.rows import blocks
from sharpscope.errors import MisuseError
from sharpscope.results import Outcome, SharpnessResult, load
from sharpscope.sharpness import GeneralizationGap
from tests.comparing.makers import largest, provenance, traced
from tests.results.makers import a_gap, a_sharpness


def noted(found: ss.results.Comparison, start: str) -> bool:
    return any(note.startswith(start) for note in found.notes)


def balls(run: str, values: tuple[float, ...], **more: Any) -> SharpnessResult:
    own: dict[str, Any] = {
        "settings": {"case": "worst"},
        "method": "worst-case l2 sharpness, ρ = 0.05",
        "values": values,
        "value": sum(values) / len(values),
        "provenance": provenance(run),
    }
    return a_sharpness(tag=run, **(own | more))


def test_kept_epochs_of_a_run_are_not_runs():
    def kept(name: str, epoch: int, tag: str | None = None) -> Any:
        return traced(tag or f"{name}-s0.epoch{epoch:04d}", seed=0, epoch=epoch)

    groups = {name: [kept(name, 1), kept(name, 2)] for name in ("late", "masam")}
    told = "late-s0.epoch0001 and late-s0.epoch0002 in group late are epochs 1 and 2 of one run"
    with pytest.raises(MisuseError, match=f"{told}, .*: name the final ones, or .* --match train"):
        ss.compare(groups)
    groups = {name: [kept(name, e, f"{name}-{e}") for e in (1, 2)] for name in ("late", "masam")}
    with pytest.raises(MisuseError, match="late-1 and late-2 in group late are epochs 1 and 2 of"):
        ss.compare(groups)


def test_one_checkpoint_under_two_names_is_one_run():
    copy = replace(traced("late-s0"), tag="copy")
    with pytest.raises(MisuseError, match="late-s0 and copy in group late are one checkpoint, and"):
        ss.compare({"late": [traced("late-s0"), copy], "masam": [traced("masam-s0", 70.0)]})


def test_one_run_against_several_is_undecided():
    late = [traced(f"late-s{s}", 100.0 + 30 * s, seed=s) for s in range(3)]
    for seed in (0, 7):
        found = ss.compare({"late": late, "masam": [traced("masam-s", 80.0, seed=seed)]})
        (one,) = found.differences
        assert one.difference == pytest.approx(80 - 130)
        assert (one.verdict, one.interval, one.error) == ("undecided", None, None)
        assert noted(found, "late and masam are undecided: one is a single run, whose seed error")
        assert blocks(found)[0].rows[1][-3:] == ("-50 ± –", "–", "undecided")


def test_where_no_error_is_known_nothing_is_decided():
    found = ss.compare([balls("late", (0.2,)), balls("masam", (0.3,))])
    (one,) = found.differences
    assert (one.verdict, one.interval, one.error) == ("undecided", None, None)
    assert found.sentences[0].endswith("difference +0.1: no interval, undecided")
    single: dict[str, Any] = {
        "batch_parts": ((9.0, 0.0),),
        "batch_shares": (1.0,),
        "data_errors": None,
    }
    (one,) = ss.compare([largest(r, v, **single) for r, v in (("a", 9.0), ("b", 9.5))]).differences
    assert one.bound > 0
    assert (one.verdict, one.interval, one.error) == ("undecided", None, None)


def test_a_data_error_of_one_side_is_a_lower_bound():
    exact: dict[str, Any] = {
        "standard_error": 0.0,
        "terms": (),
        "batch_parts": (),
        "batch_shares": (),
    }
    late, masam = traced("late", 100.0), traced("masam", 50.0, **exact, data_error=None)
    found = ss.compare([late, masam])
    (one,) = found.differences
    assert one.data_error == late.data_error
    assert one.interval is not None
    assert one.interval[1] < 0
    assert one.verdict == "undecided"
    assert found.sentences[0].endswith(": the data error of one is not known, undecided")
    assert noted(found, "trace of masam (cxr): the data error is known of one side alone")


def test_runs_of_a_group_err_on_the_same_items():
    def gaps(name: str, more: float) -> list[Any]:
        return [
            a_gap(tag=f"{name}-s{s}", value=more + s, standard_error=2.0,
                  provenance=provenance(f"{name}-s{s}", seed=s))
            for s in range(4)
        ]  # fmt: skip

    found = ss.compare({"late": gaps("late", 5.0), "masam": gaps("masam", 6.0)})
    assert [entry.data_error for entry in found.entries] == pytest.approx([2.0, 2.0])
    assert found.differences[0].data_error == pytest.approx(8**0.5)
    side = [(weight, measurement(gaps("late", 5.0)[0])) for weight in (1.5, -0.5)]
    spread = data_spread(side, side)  # pyright: ignore[reportArgumentType]
    assert spread is not None
    assert spread.one == pytest.approx(16.0)


def test_gaps_of_other_train_data_are_refused():
    gaps = [
        a_gap(tag=run, provenance=provenance(run, train_fingerprint=f"train data of {run}"))
        for run in ("late", "masam")
    ]
    told = "the fingerprint of the train data is train data of masam and train data of late"
    with pytest.raises(MisuseError, match=told):
        ss.compare(gaps)


def test_a_gap_tells_its_train_data():
    torch.manual_seed(0)
    model, y = torch.nn.Linear(2, 2), torch.tensor([0, 1] * 5)
    loss = torch.nn.functional.cross_entropy

    def subject(seed: int) -> ss.Subject:
        x = torch.randn(10, 2, generator=torch.Generator().manual_seed(seed))
        return ss.Subject(model, [(x, y)], loss=loss, encoders={"x": "weight"})

    gaps = [GeneralizationGap()(subject(seed), subject(9)).tagged(str(seed)) for seed in (0, 1)]
    with pytest.raises(MisuseError, match="the fingerprint of the train data is"):
        ss.compare(gaps)


def test_what_did_not_end_as_meant_is_told_and_unequal_batches_are_refused():
    spent: dict[str, Any] = {"outcome": Outcome.BUDGET_SPENT}
    found = ss.compare([largest("late"), largest("masam", 5.0, **spent), traced("late")])
    assert noted(found, "λ_max of masam (cxr): the budget was spent before all")
    stuck = largest("masam", 5.0, outcome=Outcome.STAGNATED)
    assert noted(ss.compare([largest("late"), stuck]), "λ_max of masam (cxr): rounding kept")
    with pytest.raises(MisuseError, match=r"masam .* late .*: 2 and 3 batches were searched; give"):
        ss.compare([balls("late", (0.1, 0.2, 0.3)), balls("masam", (0.1, 0.2), **spent)])


def test_no_ratio_of_what_may_have_any_sign_nor_where_it_is_unbounded():
    gaps = [a_gap(tag=r, value=v, provenance=provenance(r)) for r, v in (("a", 0.02), ("b", 3.0))]
    found = ss.compare(gaps)
    assert found.differences[0].ratio is None
    assert found.sentences[0].startswith("cxr: gap τ of accuracy of b less a's: difference +3.0 ±")
    unsure = [traced("late", standard_error=100.0), traced("masam", 50.0, seed=1)]
    found = ss.compare([replace(unsure[0], seed=1), unsure[1]])
    assert found.differences[0].ratio is not None
    assert found.differences[0].ratio_interval is None
    assert blocks(found)[0].rows[1][5] == "–"
    assert found.sentences[0].startswith("cxr: trace of masam less late's: ")


def test_a_gap_is_rounded_to_its_data_error():
    gaps = [a_gap(tag=r, value=5.12345, provenance=provenance(r)) for r in ("a", "b")]
    assert blocks(ss.compare(gaps))[0].rows[0][3] == "5.1"
    tiny = [replace(gap, value=5.12345e-7, standard_error=1e-8) for gap in gaps]
    assert blocks(ss.compare(tiny))[0].rows[0][3] == "5.12e-07"


def test_the_stored_train_loss_is_that_of_the_fused_prediction():
    test = {"split": "test", "metrics": {"train": {"fusion": {"loss": 0.123}}}}
    results = [replace(traced(r, provenance=test), loss="cxr") for r in ("late", "masam")]
    assert {entry.train_loss for entry in ss.compare(results).entries} == {None}


def test_a_result_that_is_not_finite_is_read_back(tmp_path: Path):
    odd: dict[str, Any] = {"value": None, "outcome": Outcome.NOT_FINITE}
    nothing = (float("nan"),) * 12
    for late, masam in (
        (balls("late", (0.1, 0.2)), balls("masam", (0.1, float("inf")), **odd)),
        (traced("late"), replace(traced("masam"), terms=nothing, **odd)),
    ):
        read: Any = load(masam.save(tmp_path / "masam.json"))
        found = ss.compare([late, read])
        assert found.differences[0].verdict == "not finite"
        assert any(note.endswith(" of masam (cxr): not finite somewhere.") for note in found.notes)


def test_a_train_loss_that_is_not_finite_cannot_be_matched(tmp_path: Path):
    late = [traced(f"late.epoch000{e}", loss=1 / e, epoch=e) for e in (1, 2)]
    odd = traced("masam.epoch0001", loss=float("nan"), epoch=1)
    read: Any = load(odd.save(tmp_path / "odd.json"))
    for result in (odd, read):
        with pytest.raises(
            MisuseError, match=r"needs finite losses, and that of masam\.epoch0001 is"
        ):
            ss.compare([*late, result], match="train-loss")


def test_an_end_that_rounds_to_0_has_no_sign():
    found = ss.compare([traced("late"), traced("masam", 50.0)])
    one = found.differences[0]
    for end, shown in ((-0.01, "0.0"), (0.01, "0.0"), (-0.4, "-0.4")):
        odd = replace(one, difference=5.0, error=1.2, interval=(end, 10.0))
        text = blocks(replace(found, differences=(odd,)))[0].rows[1][-2]
        assert text == f"{shown} to +10.0"
