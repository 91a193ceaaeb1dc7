"""The generalization gap: its sign, its error, its metrics."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

import sharpscope as ss
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.results import Outcome
from sharpscope.subject import Subject
from tests.subject.snapshot import photograph, same


class Read(nn.Module):
    """Logits as they come."""

    def __init__(self, outputs: int):
        super().__init__()
        self.x = nn.Linear(outputs, outputs, bias=False)
        nn.init.eye_(self.x.weight)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.x(x))


def subject_of(logits: Tensor, target: Tensor, *, labels: bool = False, **more: Any) -> Subject:
    loss = functional.binary_cross_entropy_with_logits if labels else functional.cross_entropy
    arguments: dict[str, Any] = {"loss": loss, "encoders": {"x": "x"}} | more
    parts = [(logits[rows], target[rows]) for rows in torch.arange(len(target)).split(7)]
    return Subject(Read(logits.shape[1]), parts, **arguments)


def with_accuracy(right: int, items: int) -> Subject:
    target = torch.zeros(items, dtype=torch.long)
    logits = torch.zeros(items, 2)
    logits[torch.arange(items), (torch.arange(items) >= right).long()] = 1.0
    return subject_of(logits, target)


@pytest.mark.parametrize(
    ("train", "test", "gap"), [((40, 40), (30, 40), 25.0), ((20, 40), (30, 40), -50.0)]
)
def test_it_is_signed_and_its_error_is_that_of_both_splits(train: Any, test: Any, gap: float):
    found = ss.generalization_gap(with_accuracy(*train), with_accuracy(*test), bootstrap=20_000)
    assert found.value == pytest.approx(gap)
    a, b = train[0] / train[1], test[0] / test[1]
    errors = [math.sqrt(p * (1 - p) / 40) for p in (a, b)]
    wanted = 100 * math.hypot(errors[1] / a, errors[0] * b / a**2)
    assert found.standard_error == pytest.approx(wanted, rel=0.1)
    assert found.interval is not None
    assert found.interval[0] < gap < found.interval[1]
    assert (found.train, found.test) == pytest.approx((a, b))
    assert (found.train_samples, found.samples, found.metric) == (40, 40, "accuracy")
    assert "All items of both splits" in found.advice


def test_rankings_are_those_of_scikit_learn():
    torch.manual_seed(0)
    logits, target = torch.randn(60, 3), torch.randint(3, (60,))
    one_hot, p = np.eye(3)[target], logits.double().softmax(1).numpy()
    for metric, by_hand in (
        ("macro_auprc", average_precision_score(one_hot, p, average="macro")),
        ("macro_auroc", roc_auc_score(one_hot, p, average="macro")),
    ):
        subject = subject_of(logits, target)
        found = ss.generalization_gap(subject, subject, metric=metric, bootstrap=100)
        assert found.train == found.test == pytest.approx(by_hand, rel=1e-6)
        assert found.value == 0.0
        assert found.standard_error is not None
        assert found.standard_error > 0  # other items for each of the two
    labels = torch.randint(0, 2, (60, 3)).float()
    subject = subject_of(logits, labels, labels=True)
    found = ss.generalization_gap(subject, subject, bootstrap=100)
    assert found.metric == "macro_auprc"
    assert found.train == pytest.approx(
        average_precision_score(labels.numpy(), logits.numpy(), average="macro")
    )
    exact = ss.generalization_gap(subject, subject, metric="accuracy", bootstrap=100)
    assert exact.train == pytest.approx(((logits > 0) == labels.bool()).float().mean().item())


def test_a_train_metric_of_zero_has_no_gap():
    found = ss.generalization_gap(with_accuracy(0, 20), with_accuracy(10, 20), bootstrap=100)
    assert (found.value, found.standard_error, found.interval) == (None, None, None)
    assert found.outcome is Outcome.NOT_FINITE
    assert "The metric on train is 0, or one of the spl" in found.advice
    assert "not finite" in repr(found)


def test_the_model_comes_back_in_train_mode():
    subject = with_accuracy(15, 20)
    subject.model.train()
    before = photograph(subject.model)
    told: list[str] = []
    ss.generalization_gap(subject, subject, bootstrap=100, watcher=told.append)
    same(subject.model, before)
    assert told == ["predictions on train", "predictions on test"]


def test_what_cannot_be_meant():
    subject = with_accuracy(15, 20)
    with pytest.raises(MisuseError, match="metric must be 'accuracy', 'macro_auprc' or 'macro_aur"):
        ss.generalization_gap(subject, subject, metric="f1")
    with pytest.raises(MisuseError, match="bootstrap must be a whole number of at least 100"):
        ss.generalization_gap(subject, subject, bootstrap=3)
    with pytest.raises(MisuseError, match="seed must be a whole number of at least 0"):
        ss.generalization_gap(subject, subject, seed=-3)
    plain = subject_of(
        torch.zeros(7, 2), torch.zeros(7), loss=lambda m, b: m(b[0]).sum(), encoders={"x": "x"}
    )
    with pytest.raises(SubjectError, match="this needs predictions"):
        ss.generalization_gap(plain, plain)


def test_outputs_that_one_split_lacks_are_left_out_of_both():
    torch.manual_seed(0)
    labels = torch.randint(0, 2, (60, 3)).float()
    logits = labels * 2 + torch.randn(60, 3)
    logits[:, 2] = torch.randn(60)
    train = subject_of(logits, labels, labels=True)
    kept = labels[:, 2] == 0
    test = subject_of(logits[kept], labels[kept], labels=True)
    found = ss.generalization_gap(train, test, bootstrap=100)
    assert any("Only 2 of 3 outputs have a macro_auprc in both splits" in n for n in found.notes)
    wanted = average_precision_score(labels[:, :2].numpy(), logits[:, :2].numpy(), average="macro")
    assert found.train == pytest.approx(wanted)


def test_two_tasks_have_no_gap():
    labels = subject_of(torch.zeros(9, 2), torch.zeros(9, 2), labels=True)
    with pytest.raises(MisuseError, match="train and test must be one task: their outputs and tar"):
        ss.generalization_gap(with_accuracy(3, 9), labels)
