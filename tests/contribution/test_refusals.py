"""Every sentence that asking for contributions can raise."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import sharpscope as ss
from sharpscope.contribution import Contribution
from sharpscope.contribution.features import features_of
from sharpscope.errors import MisuseError, SharpscopeError, SubjectError
from sharpscope.subject import Subject
from tests.contribution.naive import problem
from tests.contribution.wired import wired
from tests.subject.snapshot import photograph, same


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "acc"}, "kind must be 'accuracy', 'neg_loss' or 'true_prob'; got 'acc'"),
        ({"mask": "zero"}, "mask must be 'zero_input', 'zero_feature' or 'mean_feature'"),
        ({"normalize": "abs"}, "normalize must be 'clip', 'raw' or 'softmax'"),
        ({"bootstrap": 10}, "bootstrap must be a whole number of at least 100"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"probe": 3}, r"probe is no setting \(of the contribution\); did you mean 'probes'"),
    ],
)
def test_settings(settings: dict[str, Any], message: str):
    with pytest.raises(MisuseError, match=message):
        ss.contribution(problem(("ehr", "cxr")).subject(), **settings)


class Tokens(nn.Module):
    """One encoder of token ids and one of two modules."""

    def __init__(self):
        super().__init__()
        self.text, self.image, self.project = (
            nn.EmbeddingBag(9, 3),
            nn.Linear(4, 5),
            nn.Linear(5, 3),
        )

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        return self.text(text) + self.project(self.image(image).relu_())


def tokens(**more: Any) -> Subject:
    torch.manual_seed(0)
    batches = [
        (torch.randint(9, (6, length)), torch.randn(6, 4), torch.randint(3, (6,)))
        for length in (5, 2)
    ]
    encoders = {"text": "text", "image": ["image", "project"]}
    arguments: dict[str, Any] = {"loss": functional.cross_entropy, "encoders": encoders} | more
    return Subject(Tokens(), batches, **arguments)


def test_inputs_that_cannot_be_zero_are_told_and_features_can_be_masked():
    subject = tokens()
    before = photograph(subject.model)
    with pytest.raises(MisuseError, match="for which zero is no absence: mask='zero_feature' or"):
        ss.contribution(subject)
    with pytest.raises(MisuseError, match="for which zero is no absence: mask='zero_feature' or"):
        ss.contribution(tokens(encoders={"text": "text"}))
    same(subject.model, before)
    for mask in ("zero_feature", "mean_feature"):
        found = ss.contribution(subject, mask=mask, train=subject, val=subject)
        assert set(found.shares) == set(found.probe) == {"text", "image"}


@pytest.mark.parametrize(
    ("way", "encoders", "message"),
    [
        ("function", None, "which input is that of 'a' cannot be told, since no input reaches its"),
        ("both", None, "which input is that of 'a' cannot be told, since other encoders see it to"),
        ("loose", ["a", "extra"], "which input is that of 'a' cannot be told, since no input reac"),
        ("nan", None, "batch 1 with a and b masked: the logits are not finite; take another mask"),
        ("raises", None, "batch 1 with a and b masked: the model or predict raised ValueError: no"),
    ],
)
def test_encoders_whose_inputs_cannot_be_masked(way: str, encoders: Any, message: str):
    subject = wired(way, **({} if encoders is None else {"encoders": {"a": encoders, "b": "b"}}))
    with pytest.raises(SharpscopeError, match=message):
        ss.contribution(subject)


class Sequences(nn.Module):
    """An encoder whose features have as many rows as time steps, or as items and lengths."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind, self.a, self.b = kind, nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        if self.kind == "flat":  # each step is an item of its own
            z = self.a(a.flatten(0, 1)).unflatten(0, a.shape[:2]).mean(1)
        else:
            z = self.a(a).mean(1)
        return z + self.b(b)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("flat", "the features of 'a' have no row for each item"),
        ("ragged", "the features of 'a' differ in shape from batch to batch"),
    ],
)
def test_features_without_a_mean(kind: str, message: str):
    torch.manual_seed(0)
    batches = [
        (torch.randn(4, steps, 3), torch.randn(4, 3), torch.randint(3, (4,))) for steps in (2, 5)
    ]
    subject = Subject(
        Sequences(kind), batches, loss=functional.cross_entropy, encoders={"a": "a", "b": "b"}
    )
    with pytest.raises(MisuseError, match=message):
        ss.contribution(subject, mask="mean_feature")
    found = ss.contribution(subject, train=subject, val=subject)
    why = {
        "flat": "its encoder shows no features, one tensor with a row for each item",
        "ragged": "its features differ in width from batch to batch",
    }
    assert f"No probe of a: {why[kind]}." in found.notes
    assert set(found.probe) == {"b"}


def callable_loss(**more: Any) -> Subject:
    return wired("plain", loss=lambda m, b: functional.cross_entropy(m(*b[:-1]), b[-1]), **more)


def test_predictions_that_are_not_shown():
    with pytest.raises(SubjectError, match=r"needs predictions, .* pass predict=callable\("):
        ss.contribution(callable_loss())
    with pytest.raises(SubjectError, match=r'add predict = "module:function" to \[metric\] of x.t'):
        ss.contribution(callable_loss(provenance={"spec": "x.toml"}))
    for loss in (functional.mse_loss, nn.BCELoss(), functional.l1_loss):
        with pytest.raises(SubjectError, match="which only the cross entropy of classes or labels"):
            _ = wired("plain", loss=loss).predict
    with pytest.raises(MisuseError, match=r"predict must be a callable\(model, batch\); got int"):
        callable_loss(predict=5)


def fused(m: Any, b: Any) -> Tensor:
    return m(*b[:-1])


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (fused, r"batch 1: predict must return a pair of tensors .*; got Tensor"),
        (
            lambda m, b: (fused(m, b)[:, None], b[-1]),
            r"must be logits \[items, classes\] .*; got \[6, 1, 3\] and torch.int64 \[6\]",
        ),
        (lambda m, b: (fused(m, b)[:, :1], b[-1]), r"got \[6, 1\] and torch.int64 \[6\]"),
        (lambda m, b: (fused(m, b)[:, :0], b[-1]), r"got \[6, 0\] and torch.int64 \[6\]"),
        (lambda m, b: (fused(m, b).sum(), b[-1]), r"got \[\] and torch.int64 \[6\]"),
        (lambda m, b: (fused(m, b), b[-1] + 5), "there are 3 classes and the target has [67]: a c"),
        (
            lambda m, b: (fused(m, b), fused(m, b)),
            "labels must be 0 or 1: replace those",
        ),
        (lambda m, b: (fused(m, b) * torch.inf, b[-1]), "batch 1: the logits are not finite$"),
        (lambda m, b: b["x"], "batch 1: the model or predict raised TypeError"),
    ],
)
def test_predictions_that_cannot_be_meant(predict: Any, message: str):
    with pytest.raises(SubjectError, match=message):
        features_of(callable_loss(predict=predict))


def test_probabilities_as_targets():
    def soft(target: Tensor) -> Tensor:
        return functional.one_hot(target, 3).float()

    subject = wired("plain")
    batches = [(*inputs, soft(target)) for *inputs, target in list(subject.batches)]
    subject = Subject(
        subject.model, batches, loss=functional.cross_entropy, encoders={"a": "a", "b": "b"}
    )
    with pytest.raises(SubjectError, match="the target of the cross entropy is a probability for"):
        ss.contribution(subject, mask="zero_feature")


def test_probes_of_another_model():
    ours, theirs = wired("plain"), wired("plain")
    with torch.no_grad():
        next(theirs.model.parameters()).add_(1)
    with pytest.raises(MisuseError, match="train must be the same model on other data; its param"):
        Contribution()(ours, train=theirs)
    number: Any = 5
    with pytest.raises(MisuseError, match="val must be a Subject; got int"):
        ss.contribution(ours, val=number)
    labels = Subject(
        ours.model,
        [(a, b, functional.one_hot(target, 3).float()) for a, b, target in list(ours.batches)],
        loss=functional.binary_cross_entropy_with_logits,
        encoders={"a": "a", "b": "b"},
    )
    with pytest.raises(MisuseError, match="train and val must have targets like those of the dat"):
        ss.contribution(ours, train=labels, val=ours)
    broken = Subject(ours.model, [], loss=functional.cross_entropy, encoders={"a": "a", "b": "b"})
    with pytest.raises(SubjectError, match="the train split, which probes need: the data is empty"):
        ss.contribution(ours, train=broken, val=ours)


def test_a_train_loader_may_shuffle():
    ours = wired("plain")
    items = [torch.cat(parts) for parts in zip(*list(ours.batches), strict=True)]
    loader = DataLoader(TensorDataset(*items), batch_size=5, shuffle=True)
    train = Subject(
        ours.model, loader, loss=functional.cross_entropy, encoders={"a": "a", "b": "b"}
    )
    assert set(ss.contribution(ours, train=train, val=ours).probe) == {"a", "b"}


def test_results_without_a_figure():
    subject = problem(("ehr", "cxr")).subject()
    with pytest.raises(MisuseError, match="no figure shows sharpscope/coupling"):
        ss.coupling(subject, ["ehr", "cxr"], budget=8).draw()
