"""What recordings cost: no more than the memory allowed, and nothing that is never played."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sharpscope.operators import HessianOperator
from sharpscope.replay import Tape
from sharpscope.replay.calls import Recorder
from sharpscope.subject import Subject
from tests import problems
from tests.replay import awkward
from tests.replay.passes import DATA, gradients, loss, studied


def test_memory_bounds_the_recordings():
    model, chosen = studied("film")
    # Four batches of 4, 4, 3 and 1 items, four features each.
    item = 4 * torch.zeros(()).element_size()
    tape = Tape(model, chosen, memory=8 * item)
    for _ in range(2):
        played, plain = gradients(model, chosen, tape), gradients(model, chosen, None)
        torch.testing.assert_close(played, plain)
    assert tape.bytes == 8 * item
    assert tape.notes() == ("Not replayed: 2 batches, for want of memory.",)


def test_a_view_of_a_large_output_is_kept_without_the_rest():
    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.repeat(1, 1000) * 2)[:, :4]

    model = awkward.Base()
    model.cxr_model.append(Last())
    tape = Tape(model, model.ehr_model.parameters(), memory=10**7)
    tape.run(0, lambda: loss(model, DATA[0]))
    assert tape.bytes == 4 * 4 * torch.zeros(()).element_size()


class Branching(nn.Module):
    """A still encoder with an extra block for long inputs, and a head under study."""

    def __init__(self):
        super().__init__()
        self.still = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
        self.extra = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3) to (N, 2)."""
        hidden = self.still(x)
        return self.head(self.extra(hidden) if len(x) > 2 else hidden)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the modules that are recorded from here on."""
    names: list[str] = []
    record: Callable[..., None] = Recorder._record

    def noted(self: Recorder, call: Any, *rest: Any) -> None:
        names.append(call.name)
        record(self, call, *rest)

    monkeypatch.setattr(Recorder, "_record", noted)
    return names


def test_after_a_survey_no_inner_output_is_held(recorded: list[str]):
    model, x = Branching(), torch.randn(2, 3)
    for survey in (False, True):
        recorded.clear()
        tape = Tape(model, model.head.parameters(), memory=10**6)
        if survey:
            tape.survey(lambda: model(x))
            assert recorded == []
        found = tape.run(1, lambda: model(x))
        assert recorded == (["still"] if survey else ["still.0", "still.1", "still.2", "still"])
        assert tape.played == ("still",)
        assert torch.equal(tape.run(1, lambda: model(x)), found)


def test_what_the_survey_did_not_meet_is_recorded_a_visit_later(recorded: list[str]):
    model, batches = Branching(), {1: torch.randn(2, 3), 2: torch.randn(4, 3)}
    tape = Tape(model, model.head.parameters(), memory=10**6)
    tape.survey(lambda: model(batches[1]))
    for number, names in ((2, ["still"]), (2, ["still", "extra"]), (2, [])):
        recorded.clear()
        found = tape.run(number, lambda: model(batches[2]))
        assert recorded == names
        assert torch.equal(found, model(batches[2]))
    assert tape.playing
    assert tape.played == ("still", "extra")


def test_a_right_guess_costs_no_pass_and_holds_no_inner_output(recorded: list[str]):
    model, x = Branching(), torch.randn(2, 3)
    tape = Tape(model, model.head.parameters(), memory=10**6)
    tape.guess()
    assert recorded == []
    found = tape.run(1, lambda: model(x))
    assert recorded == ["still"]
    assert tape.played == ("still",)  # extra was not called
    assert torch.equal(tape.run(1, lambda: model(x)), found)
    assert tape.playing


@pytest.mark.parametrize("moving", ["weight", "statistics"])
def test_what_was_not_guessed_is_recorded_a_visit_later(recorded: list[str], moving: str):
    class Returns(nn.Sequential):
        def forward(self, input: Tensor) -> Any:
            return {"found": super().forward(input), "self": self}  # cannot be played as a whole

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.still = Returns(nn.Linear(3, 3), nn.Tanh())
            self.head = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.still(x)["found"])

    model, x = Model().eval(), torch.randn(2, 3)
    head: Any = model.head
    dependent = [head[0].weight] if moving == "weight" else [head[1].running_mean]
    tape = Tape(model, dependent, memory=10**6)
    tape.guess()
    for count, names in enumerate(([], ["still.0", "still.1"], [])):
        recorded.clear()
        found = tape.run(1, lambda: model(x))
        assert [name for name in recorded if name.startswith("still")] == names
        assert torch.equal(found, model(x))
        assert tape.playing == (count == 2)


def test_where_nothing_can_be_played_a_guess_says_so_after_the_first_batch():
    model, x = Branching(), torch.randn(2, 3)
    tape = Tape(model, model.still[0].parameters(), memory=10**6)
    tape.guess()
    assert tape.plays
    tape.run(1, lambda: model(x))
    assert not tape.plays
    silent = Tape(model, [], memory=1, enabled=False)
    silent.guess()
    assert not silent.plays


def test_a_survey_leaves_the_random_streams_and_errors_to_the_pass():
    model = nn.Sequential(nn.Dropout(), nn.Linear(3, 1)).train()
    tape = Tape(model, model[1].parameters(), memory=10**6)
    before = torch.get_rng_state()
    tape.survey(lambda: model(torch.ones(2, 3)))
    assert torch.equal(torch.get_rng_state(), before)

    def wrong() -> Tensor:
        raise ValueError("the model's own")

    tape.survey(wrong)
    with pytest.raises(ValueError, match="the model's own"):
        tape.run(1, wrong)
    Tape(model, [], memory=1, enabled=False).survey(wrong)


def test_the_passes_that_replay_is_compared_with_come_before_any_graph(
    monkeypatch: pytest.MonkeyPatch,
):
    """Or the largest of both would stand in memory together."""
    operator = HessianOperator(problems.subject_of(problems.build("layer_norm")), "ehr")
    build, built = operator._build, []
    monkeypatch.setattr(operator, "_build", lambda *args: built.append(1) or build(*args))
    with operator.session():
        compared = {number: true.clone() for number, true in operator._true.items()}
        assert not built
        operator.matvec(torch.ones(operator.dim, dtype=operator.dtype))
        assert built
        assert 1 in compared
        assert len(compared) == min(2, len(problems.batches()))


def test_what_is_recorded_only_later_is_compared_as_well():
    """An output that later code changes in place is recorded at the second visit."""

    class Through(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            ctx.save_for_backward(x, weight)
            return torch.from_numpy(x.detach().numpy() * weight.detach().numpy())

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            x, weight = ctx.saved_tensors
            return grad * weight, grad * x

    class Kernel(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(8))
            self.still = nn.Linear(3, 8)
            self.out = nn.Linear(8, 3)

        def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
            base = self.still(ehr)
            found: Any = Through.apply(base, self.scale)
            found.mul_(2)
            return self.out(torch.tanh(found))

    torch.manual_seed(0)
    model = Kernel()
    data = [(torch.randn(6, 3), torch.randn(6, 1), torch.tensor([0, 1, 2, 0, 1, 2]))]
    found: list[Tensor] = []
    for replay in (True, False):
        subject = Subject(
            model, data, loss="cross_entropy", encoders={"a": "scale"}, replay=replay, memory=4000
        )
        operator = HessianOperator(subject, "a")
        with operator.session():
            found += [operator.matmat(torch.eye(8)) for _ in range(3)]
    for one in found[:-1]:
        torch.testing.assert_close(one, found[-1])


def test_state_that_a_loader_resets_stands_still_in_a_survey():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)
            self.count = 0

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            self.count += 1
            return self.a(x) + self.b(y) * self.count

    model = Noisy()

    class Loader(list[Any]):
        def __iter__(self) -> Any:
            model.count = 0
            return super().__iter__()

    data = Loader((torch.randn(4, 2), torch.randn(4, 2), torch.tensor([0, 1, 1, 0])) for _ in "123")
    subject = Subject(model, data, loss="cross_entropy", encoders={"a": "a", "b": "b"})
    assert HessianOperator(subject, "a").matvec(torch.ones(6)).abs().sum() > 0
