"""Contributions against the obvious way, and what their errors mean."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import sharpscope as ss
from sharpscope.contribution import Contribution
from sharpscope.results import ContributionResult
from sharpscope.shapley import shares, subsets
from sharpscope.subject import Subject
from tests.contribution.naive import (
    SIZES,
    Problem,
    by_permutations,
    gradients,
    problem,
)
from tests.subject.snapshot import photograph, same

MASKS = ("zero_input", "zero_feature", "mean_feature")


def right(p: Problem, logits: Tensor) -> float:
    return (logits.argmax(1) == p.joined()[1]).double().mean().item()


@pytest.mark.parametrize("replay", [True, False])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("names", [("x",), ("ehr", "cxr"), ("a", "b", "c")])
def test_every_number_is_that_of_full_passes(names: tuple[str, ...], mask: str, replay: bool):
    p = problem(names)
    found = ss.contribution(p.subject(replay=replay), mask=mask, kind="true_prob")
    _, target = p.joined()
    logits = {present: p.logits(present, mask) for present in subsets(names)}

    def performance(present: frozenset[str]) -> float:
        chosen = logits[present].softmax(1)[torch.arange(len(target)), target]
        return chosen.mean().item()

    for present in subsets(names):
        key = "+".join(name for name in names if name in present)
        assert found.performance[key] == pytest.approx(performance(present), abs=1e-12)
    values = by_permutations(names, performance)
    assert found.shapley == pytest.approx(values, abs=1e-12)
    assert found.shares == pytest.approx(shares(values), abs=1e-12)
    assert sum(v or 0.0 for v in found.shares.values()) == pytest.approx(1.0)
    everyone, nobody = frozenset(names), frozenset[str]()
    assert found.whole == right(p, logits[everyone])
    parts = by_permutations(names, lambda present: logits[present])
    for name in names:
        assert found.without[name] == right(p, logits[everyone - {name}])
        assert found.alone[name] == right(p, logits[frozenset({name})])
        assert found.drop[name] == pytest.approx((found.whole or 0) - (found.without[name] or 0))
        readout = parts[name] + logits[nobody] / len(names)
        assert found.readout[name] == right(p, readout)
    assert found.samples == sum(SIZES)
    assert found.notes == ("No probes: they need the splits train and val.",)


@pytest.mark.parametrize("mask", MASKS)
def test_batches_do_not_matter(mask: str):
    p = problem(("ehr", "cxr"))
    one = ss.contribution(p.subject(), mask=mask, kind="neg_loss")
    columns = [torch.cat(parts) for parts in zip(*p.batches, strict=True)]
    p.batches = [tuple(column[rows] for column in columns) for rows in torch.arange(13).split(4)]
    other = ss.contribution(p.subject(), mask=mask, kind="neg_loss")
    for field in ("performance", "shapley", "shapley_error", "shares", "share_error", "alignment"):
        assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-6), field
    assert (one.whole, one.readout, one.without) == (other.whole, other.readout, other.without)


def test_alignment_is_a_cosine_with_the_error_of_leaving_batches_out():
    p = problem(("ehr", "cxr"))
    found = ss.contribution(p.subject())
    for name in p.names:
        a, b = gradients(p, name, p.batches)
        cosine = functional.cosine_similarity(a, b, 0).item()
        assert found.alignment[name] == pytest.approx(cosine, abs=1e-10)
        assert found.fusion_gradient[name] == pytest.approx(a.norm().item() / 13)
        assert found.unimodal_gradient[name] == pytest.approx(b.norm().item() / 13)
        own = [functional.cosine_similarity(*gradients(p, name, [one]), 0) for one in p.batches]
        assert found.batch_alignment[name] == pytest.approx(sum(c.item() for c in own) / 3)
        assert found.negative_alignment[name] == sum(c.item() < 0 for c in own) / 3
        left = [
            functional.cosine_similarity(
                *gradients(p, name, [one for one in p.batches if one is not out]), 0
            ).item()
            for out in p.batches
        ]
        spread = math.sqrt(2 / 3 * sum((c - sum(left) / 3) ** 2 for c in left))
        assert found.alignment_error[name] == pytest.approx(spread, rel=1e-6)


def test_errors_are_those_of_other_items():
    p = problem(("ehr", "cxr"))
    found = ss.contribution(p.subject(), kind="neg_loss", bootstrap=20_000)
    target = p.joined()[1]
    logits = {present: p.logits(present, "zero_input") for present in subsets(p.names)}
    items = {
        present: -functional.cross_entropy(values, target, reduction="none")
        for present, values in logits.items()
    }
    for name, values in by_permutations(p.names, lambda present: items[present]).items():
        # The deviation of a mean over as many items, by the moments of the items themselves.
        wanted = values.std(correction=0).item() / math.sqrt(len(values))
        assert found.shapley_error[name] == pytest.approx(wanted, rel=0.03)
    whole = (logits[frozenset(p.names)].argmax(1) == target).double()
    assert found.whole_error == pytest.approx(
        whole.std(correction=0).item() / math.sqrt(13), rel=0.03, abs=1e-9
    )
    for name in p.names:
        low, high = found.share_interval[name]
        assert low <= (found.shares[name] or 0.0) <= high
    again = ss.contribution(p.subject(), kind="neg_loss", bootstrap=20_000)
    assert again.share_error == found.share_error
    other = ss.contribution(p.subject(), kind="neg_loss", bootstrap=20_000, seed=1)
    assert other.share_error != found.share_error


def test_the_model_is_given_back_as_it_came():
    p = problem(("ehr", "cxr"))
    p.model.train()
    p.model.encoders["ehr"].requires_grad_(False)
    before = photograph(p.model)
    for mask in MASKS:
        ss.contribution(p.subject(), mask=mask, train=p.subject(), val=p.subject())
        same(p.model, before)


def test_probes_read_the_features_and_are_scored_on_the_subject():
    p, train, val = problem(("ehr", "cxr")), problem(("ehr", "cxr")), problem(("ehr", "cxr"))
    train.batches, val.batches = problem(("ehr", "cxr"), seed=5).batches, p.batches
    train.model = val.model = p.model
    found = ss.contribution(p.subject(), train=train.subject(), val=val.subject())
    assert set(found.probe) == set(found.probe_strength) == set(p.names)
    assert all(0 <= (value or 0.0) <= 1 for value in found.probe.values())
    assert all(error is not None for error in found.probe_error.values())


class Labels(nn.Module):
    """Two linear encoders and labels that do not exclude each other."""

    def __init__(self, outputs: int):
        super().__init__()
        self.ehr, self.cxr = nn.Linear(3, outputs), nn.Linear(4, outputs)

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return (self.ehr(ehr) + self.cxr(cxr)).squeeze(1)


@pytest.mark.parametrize("outputs", [1, 3])
def test_labels_are_ranked(outputs: int):
    torch.manual_seed(0)
    shape = (20,) if outputs == 1 else (20, outputs)
    data = [(torch.randn(20, 3), torch.randn(20, 4), torch.randint(0, 2, shape).float())]
    model = Labels(outputs)
    subject = Subject(
        model,
        data,
        loss=functional.binary_cross_entropy_with_logits,
        encoders={"ehr": "ehr", "cxr": "cxr"},
    )
    found = ss.contribution(subject, train=subject, val=subject, bootstrap=200)
    assert found.metric == "macro_auprc"
    logits = model(*data[0][:2]).detach().reshape(20, -1).numpy()
    truth = data[0][2].reshape(20, -1).numpy()
    precision: list[float] = []
    for column in range(outputs):
        order = truth[np.argsort(-logits[:, column]), column]
        precision.append(float((order.cumsum() / np.arange(1, 21))[order == 1].mean()))
    assert found.whole == pytest.approx(np.mean(precision))
    assert found.whole_error is not None
    assert "The shares are of the accuracy over labels" in found.notes[1]
    assert "No alignment of ehr, cxr, which has no loss of its own: pass unim" in found.notes[0]
    assert found.alignment == {}


def test_items_that_losses_ignore_do_not_count():
    p = problem(("ehr", "cxr"))
    whole = ss.contribution(p.subject())
    first = p.batches[0]
    ignored = torch.full_like(first[-1], -100)
    p.batches = [*p.batches, (*first[:-1], ignored)]
    found = ss.contribution(p.subject())
    assert (found.samples, found.shapley, found.readout) == (13, whole.shapley, whole.readout)
    # The unimodal loss is the user's own: a mean over no item.
    assert any(n.startswith("No alignment of ehr: batch 4: the ehr loss or") for n in found.notes)
    assert found.alignment == {}
    subject = Subject(
        p.model,
        [(*first[:-1], torch.where(first[-1] == 0, 7, first[-1]))],
        loss=nn.CrossEntropyLoss(ignore_index=7),
        encoders={name: f"encoders.{name}" for name in p.names},
    )
    assert ss.contribution(subject).samples == int((first[-1] != 0).sum())


def test_more_than_eight_modalities_are_drawn():
    names = tuple("abcdefghi")
    found = ss.contribution(problem(names).subject(), kind="true_prob")
    gain = (found.performance["+".join(names)] or 0.0) - (found.performance[""] or 0.0)
    assert sum(v or 0.0 for v in found.shapley.values()) == pytest.approx(gain)
    assert any("more than 8 modalities: orders of arrival were drawn" in n for n in found.notes)
    assert found.interactions == {}


def test_a_callable_loss_needs_predict():
    p = problem(("ehr", "cxr"))

    def subject(**more: Any) -> Subject:
        return Subject(
            p.model,
            p.batches,
            loss=lambda model, batch: functional.cross_entropy(model(*batch[:-1]), batch[-1]),
            encoders={name: f"encoders.{name}" for name in p.names},
            **more,
        )

    found = ss.contribution(subject(predict=lambda m, batch: (m(*batch[:-1]), batch[-1])))
    assert found.shapley == ss.contribution(p.subject()).shapley
    assert found.loss_value == pytest.approx(ss.contribution(p.subject()).loss_value)


def test_a_watcher_hears_what_is_done():
    told: list[str] = []
    p = problem(("ehr", "cxr"))
    found = Contribution()(p.subject(), train=p.subject(), val=p.subject(), watcher=told.append)
    assert told[0] == "checking that the model stands still"
    assert "fitting a probe on the features of cxr" in told
    assert isinstance(found, ContributionResult)
    assert repr(found).startswith("ContributionResult(ehr 0.")
