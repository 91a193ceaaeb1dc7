"""Every sentence that asking for contributions can raise."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import sharpscope as ss
from sharpscope.contribution import Contribution
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.subject import Subject
from tests.contribution.naive import problem
from tests.subject.snapshot import photograph, same


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "acc"}, "kind must be 'accuracy', 'neg_loss' or 'true_prob'; got 'acc'"),
        ({"mask": "zero"}, "mask must be 'zero_input', 'zero_feature' or 'mean_feature'"),
        ({"normalize": "abs"}, "normalize must be 'clip', 'raw' or 'softmax'"),
        ({"bootstrap": 10}, "bootstrap must be a whole number of at least 100"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"probes": 3}, r"probes is no setting \(of the contribution\)"),
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
    for encoders, message in (
        (None, "which input is that of 'image' cannot be told: its encoder has 2 modules"),
        ({"text": "text"}, r"the input of 'text' is a torch.int64, for which zero is no absence"),
    ):
        chosen = subject if encoders is None else tokens(encoders=encoders)
        with pytest.raises(MisuseError, match=message):
            ss.contribution(chosen)
    same(subject.model, before)
    for mask in ("zero_feature", "mean_feature"):
        found = ss.contribution(subject, mask=mask)
        assert set(found.shares) == {"text", "image"}


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
    assert any(note.startswith("No probe of a: its encoder shows no feat") for note in found.notes)
    assert set(found.probe) == {"b"}


def callable_loss(**more: Any) -> Subject:
    return tokens(loss=lambda m, b: functional.cross_entropy(m(*b[:-1]), b[-1]), **more)


def test_predictions_that_are_not_shown():
    with pytest.raises(SubjectError, match=r"needs predictions, .* pass predict=callable\("):
        ss.contribution(callable_loss())
    with pytest.raises(SubjectError, match=r'add predict = "module:function" to \[metric\] of x.t'):
        ss.contribution(callable_loss(provenance={"spec": "x.toml"}))
    for predict, message in (
        (lambda m, b: m(*b[:-1]), r"predict must return a pair of tensors .*; got Tensor"),
        (
            lambda m, b: (m(*b[:-1])[:, None], b[-1]),
            r"needs logits \[items, classes\] .*; got \[6, 1, 3\] and torch.int64 \[6\]",
        ),
    ):
        with pytest.raises(SubjectError, match=message):
            ss.contribution(callable_loss(predict=predict), mask="zero_feature")


def test_probes_of_another_model():
    with pytest.raises(MisuseError, match="train and val must be the same model on other data"):
        Contribution()(
            problem(("ehr", "cxr")).subject(), train=problem(("a", "b")).subject(), val=None
        )


def test_results_without_a_figure():
    subject = problem(("ehr", "cxr")).subject()
    with pytest.raises(MisuseError, match="a sharpscope/trace result has no figure; 'sharpscope/c"):
        ss.trace(subject, "ehr", probes=2).draw()
