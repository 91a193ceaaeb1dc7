"""A metric measured in the passes that give the loss."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.contribution.scores import score_alone
from sharpscope.errors import SubjectError
from sharpscope.landscape import Landscape
from sharpscope.ranking import auprc, mean
from sharpscope.subject import Subject
from tests import problems


@pytest.mark.parametrize("name", ["layer_norm", "conv_batchnorm", "attention"])
@pytest.mark.parametrize("replay", [True, False])
def test_the_metric_is_that_of_a_moved_copy(name: str, replay: bool):
    model = problems.build(name)
    subject = problems.subject_of(model, replay=replay)
    found = Landscape(
        shape=(3, 3), metric="macro_auprc", keep_directions=True, normalize="none", span=2.0
    )(subject, "ehr")
    plain = Landscape(shape=(3, 3), normalize="none", span=2.0)(problems.subject_of(model), "ehr")
    np.testing.assert_allclose(found.values, plain.values, rtol=1e-12)
    assert found.metric == "macro_auprc"
    assert found.metric_values is not None
    assert found.values[1, 1] == found.loss_value
    moved = problems.build(name).double().eval()
    table: dict[str, Any] = dict(moved.named_parameters())
    names = subject.select("ehr").names
    assert found.direction_x is not None
    assert found.direction_y is not None
    step = torch.from_numpy(2 * found.direction_x - 2 * found.direction_y)
    with torch.no_grad():
        for n, piece in zip(names, step.split([table[n].numel() for n in names]), strict=True):
            table[n] += piece.view_as(table[n])
        pairs = [(moved(*b[:-1]), b[-1]) for b in in_double()]
    order = torch.cat([logits.softmax(1) for logits, _ in pairs]).numpy()
    truth = functional.one_hot(torch.cat([t for _, t in pairs]), problems.CLASSES).numpy()
    wanted = mean(auprc(order, truth, [str(n) for n in range(problems.CLASSES)]))
    assert found.metric_values[0, 2] == pytest.approx(wanted)


def in_double() -> list[tuple[Tensor, ...]]:
    return [
        tuple(part.double() if part.is_floating_point() else part for part in batch)
        for batch in problems.batches()
    ]


def test_the_metric_costs_no_pass_of_its_own():
    def calls(metric: str | None, points: int) -> int:
        model: Any = problems.build("layer_norm")
        seen: list[int] = []
        model.fusion.register_forward_hook(lambda *_: seen.append(1))
        found = Landscape(shape=(points,), metric=metric)(problems.subject_of(model), "ehr")
        assert not any("apart" in note for note in found.notes)
        return len(seen)

    # The loss and the predictions call the model each, and only the first call computes: four
    # more points cost four more passes with the metric and without.
    for metric in (None, "accuracy"):
        assert calls(metric, 9) - calls(metric, 5) == 4 * len(problems.SIZES)


def test_a_metric_beside_another_loss_is_said_to_be_the_fused_one():
    def loss(model: Any, batch: Any) -> Tensor:
        return model.ehr_model(batch[0]).square().mean()

    model = problems.build("layer_norm")
    subject = problems.subject_of(model, unimodal={"ehr": loss})
    found = Landscape(shape=(3,), metric="accuracy")(subject, "ehr", loss="ehr")
    assert "The metric is that of the fused prediction, and the loss is 'ehr'." in found.notes


def test_not_finite_stays_not_finite():
    class Steep(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(1, 2, bias=False).double()
            nn.init.ones_(self.a.weight)

        def forward(self, x: Tensor) -> Tensor:
            return torch.log(self.a(x))

    data = [(torch.ones(4, 1).double(), torch.tensor([0, 1, 0, 1]))]
    subject = Subject(Steep(), data, loss=functional.cross_entropy, encoders={"a": "a"})
    found = Landscape(shape=(3,), metric="accuracy", span=3.0)(subject, "a")
    assert found.metric_values is not None
    ends = [found.metric_values[n] for n in (0, 2)]
    assert np.isnan(ends).any()
    assert found.metric_values[1] == 0.5
    only = np.array([[0.0, 1.0]])
    assert np.isnan(score_alone(only, np.array([[0.0, 0.0]]), "macro_auprc"))


class Tasks(nn.Module):
    """One part called with one tensor in several states."""

    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Linear(3, 2).double() for _ in "ab")
        self.task = 0

    def forward(self, x: Tensor) -> Tensor:
        return (self.a if self.task == 0 else self.b)(x)


@pytest.mark.parametrize("replay", [True, False])
def test_what_loss_and_predictions_do_apart_is_not_shared(replay: bool):
    torch.manual_seed(0)
    data = [(torch.randn(20, 3).double(), torch.randint(2, (20,)))]

    class Hidden:
        """A state that no attribute of the model shows."""

        task = 0

    class Sly(Tasks):
        def forward(self, x: Tensor) -> Tensor:
            return (self.a if Hidden.task == 0 else self.b)(x)

    def turned(state: Any, task: int, model: Any, batch: Any) -> Tensor:
        state.task = task
        return model(batch[0])

    for kind, state, told in ((Tasks, None, False), (Sly, Hidden, True)):

        def loss(model: Any, batch: Any, state: Any = state) -> Tensor:
            return functional.cross_entropy(turned(state or model, 0, model, batch), batch[1])

        def predict(model: Any, batch: Any, state: Any = state) -> tuple[Tensor, Tensor]:
            found = turned(state or model, 1, model, batch)
            (state or model).task = 0
            return found, batch[1]

        torch.manual_seed(1)
        subject = Subject(
            kind(), data, loss=loss, predict=predict, encoders={"a": "a", "b": "b"}, replay=replay
        )
        settings = Landscape(shape=(5,), metric="accuracy", span=3.0, normalize="none")
        found, plain = (
            settings(subject, "a"),
            Landscape(shape=(5,), span=3.0, normalize="none")(subject, "a"),
        )
        np.testing.assert_allclose(found.values, plain.values, rtol=1e-12)
        assert found.metric_values is not None
        assert np.ptp(found.metric_values) == 0  # b alone predicts, and a moves
        note = "Loss and metric were computed apart: batch 1 has other predictions."
        assert (note in found.notes) == told


def test_a_loss_that_shows_no_predictions():
    def loss(model: Any, batch: Any) -> Tensor:
        return model(*batch[:-1]).square().mean()

    model = problems.build("layer_norm")
    subject = problems.subject_of(model, loss=loss)
    with pytest.raises(SubjectError, match="this needs predictions, which only the cross entropy"):
        Landscape(shape=(3,), metric="accuracy")(subject, "ehr")
