"""Played back or run again: nobody can tell, except by the time it takes."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sharpscope.operators import HessianOperator
from sharpscope.replay import Tape
from sharpscope.replay.calls import DEPENDENT, Recorder
from tests import problems
from tests.replay import awkward
from tests.replay.passes import DATA, gradients, loss, studied


@pytest.mark.parametrize("name", awkward.CASES)
def test_products_are_those_of_a_plain_pass(name: str):
    case = awkward.CASES[name]
    found: list[Tensor] = []
    for replay in (False, True):
        operator = HessianOperator(awkward.subject_of(awkward.build(name), replay=replay), "ehr")
        with operator.session():
            # Without memory for graphs every product visits every batch: played twice.
            assert operator._kept is not None
            operator._kept.memory = 0
            found += [operator.matmat(torch.eye(operator.dim)) for _ in range(2)]
            report = operator.report()
    assert report.replayed == case.played
    notes = " ".join(report.notes)
    assert case.note in notes
    assert bool(case.note) == ("replayed" in notes)
    for matrix in found[1:]:
        assert (matrix - found[0]).norm() <= 1e-6 * found[0].norm()


@pytest.mark.parametrize("name", problems.PROBLEMS)
def test_products_are_those_of_a_plain_pass_on_every_oracle(name: str):
    found: list[Tensor] = []
    for replay in (False, True):
        subject = problems.subject_of(problems.build(name), dtype=None, replay=replay, memory=10**9)
        operator = HessianOperator(subject, problems.PROBLEMS[name].modality)
        with operator.session():
            assert operator._kept is not None
            operator._kept.memory = 0
            found += [operator.matmat(torch.eye(operator.dim)[:, ::9]) for _ in range(2)]
            played = operator.report().replayed
        assert bool(played) == (replay and problems.PROBLEMS[name].modality != "all")
    for matrix in found[1:]:
        assert (matrix - found[0]).norm() <= 1e-6 * found[0].norm()


@pytest.mark.parametrize("name", awkward.CASES)
def test_gradients_stay_right_when_the_selection_changes(name: str):
    model, chosen = studied(name)
    tape = Tape(model, chosen, memory=10**7)
    for _ in range(2):  # what is changed in place is recorded at the second visit
        gradients(model, chosen, tape)
    with torch.no_grad():
        for parameter in chosen:
            parameter.add_(torch.randn_like(parameter))
    played, plain = gradients(model, chosen, tape), gradients(model, chosen, None)
    torch.testing.assert_close(played, plain)
    assert tape.played == awkward.CASES[name].played


@pytest.mark.parametrize("name", [n for n, case in awkward.CASES.items() if case.naive])
def test_a_naive_recording_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch):
    make_naive(name, monkeypatch)
    model, chosen = studied(name)
    tape = Tape(model, chosen, memory=10**7)
    gradients(model, chosen, tape)
    with torch.no_grad():
        for parameter in chosen:
            parameter.add_(3 * torch.randn_like(parameter))
    played, plain = gradients(model, chosen, tape), gradients(model, chosen, None)
    assert tape.played
    assert set(tape.played) <= set(awkward.CASES[name].naive)
    assert not all(torch.allclose(a, b, rtol=1e-2) for a, b in zip(played, plain, strict=True))


# A branch that the Selection decides is the same branch as long as the Selection is.
CAUGHT = [n for n, case in awkward.CASES.items() if case.naive and n != "branches"]


@pytest.mark.parametrize("name", CAUGHT)
def test_a_naive_recording_is_caught_by_the_operator(name: str, monkeypatch: pytest.MonkeyPatch):
    plain = HessianOperator(awkward.subject_of(awkward.build(name), replay=False), "ehr")
    right = plain.matmat(torch.eye(plain.dim))
    make_naive(name, monkeypatch)
    operator = HessianOperator(awkward.subject_of(awkward.build(name)), "ehr")
    with operator.session():
        found = operator.matmat(torch.eye(operator.dim))
        report = operator.report()
    assert re.search("Nothing was replayed: (batch|a replayed pass)", " ".join(report.notes))
    assert report.replayed == ()
    assert (found - right).norm() <= 1e-6 * right.norm()


def make_naive(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the recorder take every call of some modules, whatever it depends on or does."""

    def refusal(self: Recorder, module: str, *_: Any) -> str:
        return "" if module in awkward.CASES[name].naive else DEPENDENT

    monkeypatch.setattr(Recorder, "_refusal", refusal)
    monkeypatch.setattr("sharpscope.replay.calls._shallow_of", lambda attributes: None)
    monkeypatch.setattr("sharpscope.replay.calls.Call.changed_later", False)


def test_random_streams_jump_as_if_the_module_had_run():
    model = awkward.Base()
    for part in (model.ehr_model, model.cxr_model):
        part.append(nn.Dropout(0.5))
    model.ehr_model.append(nn.Dropout(0.2))
    model.train()
    tape = Tape(model, model.ehr_model.parameters(), memory=10**7)

    def run(through: Tape | None) -> tuple[float, Tensor]:
        torch.manual_seed(11)
        total = (
            loss(model, DATA[0])
            if through is None
            else through.run(0, lambda: loss(model, DATA[0]))
        )
        return total.item(), torch.get_rng_state()

    plain, recorded, played = run(None), run(tape), run(tape)
    assert tape.played == ("cxr_model",)
    for value, state in (recorded, played):
        assert value == plain[0]
        assert torch.equal(state, plain[1])


def test_a_call_that_begins_from_another_random_state_is_run():
    model = awkward.Base()
    model.cxr_model.append(nn.Dropout(0.5))
    model.train()
    tape = Tape(model, model.ehr_model.parameters(), memory=10**7)
    values: list[float] = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        values.append(tape.run(0, lambda: loss(model, DATA[0])).item())
    assert values[0] == values[2]
    torch.manual_seed(2)
    assert values[1] == loss(model, DATA[0]).item()


def test_a_generator_of_its_own_is_left_to_the_module():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator = torch.Generator().manual_seed(0)

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn(x.shape, generator=self.generator)

    model = awkward.Base()
    model.cxr_model.append(Noisy())
    tape = Tape(model, model.ehr_model.parameters(), memory=10**7)
    values = [tape.run(0, lambda: loss(model, DATA[0])).item() for _ in range(2)]
    assert values[0] != values[1]
    assert (
        tape.played == ("cxr_model.0", "cxr_model.1", "cxr_model.2") or "cxr_model.1" in tape.played
    )
    assert "draws from a generator of its own" in " ".join(tape.notes())


def test_batch_norm_in_training_counts_as_a_write():
    model = awkward.Base()
    model.cxr_model.insert(2, nn.BatchNorm1d(4))
    model.train()
    tape = Tape(model, model.ehr_model.parameters(), memory=10**7)
    for _ in range(2):
        tape.run(0, lambda: loss(model, DATA[0]))
    assert model.cxr_model[2].num_batches_tracked == 2
    assert "cxr_model.2" not in tape.played
    assert "writes to memory outside itself" in " ".join(tape.notes())


def test_values_that_leave_torch_end_the_recording():
    class Exporting(awkward.Base):
        def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
            features = self.ehr_model(ehr)
            scale = float(features.detach().numpy().mean())
            return self.join(features, self.cxr_model(cxr * scale))

    model = Exporting()
    tape = Tape(model, model.ehr_model.parameters(), memory=10**7)
    tape.run(0, lambda: loss(model, DATA[0]))
    assert tape.played == ()
    assert "reached Python" in " ".join(tape.notes())


def test_checkpointed_modules_run_again_in_the_backward_pass():
    class Checkpointed(awkward.Base):
        def join(self, ehr: Tensor, cxr: Tensor) -> Tensor:
            return checkpoint(super().join, ehr, cxr, use_reentrant=False)  # pyright: ignore[reportReturnType]

    model = Checkpointed()
    chosen = list(model.ehr_model.parameters())
    tape = Tape(model, chosen, memory=10**7)
    plain = gradients(model, chosen, None)
    for _ in range(3):
        torch.testing.assert_close(gradients(model, chosen, tape), plain)


def test_an_error_of_the_model_is_its_own():
    model = awkward.Base()
    tape = Tape(model, model.ehr_model.parameters(), memory=10**7)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        tape.run(0, lambda: model(DATA[0][0][:, :2], DATA[0][1]))
    assert "forward" not in vars(model)


def test_what_cannot_be_watched_is_run(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: Any, **__: Any) -> None:
        raise NotImplementedError("this mode")

    monkeypatch.setattr("sharpscope.replay.watching.Ledger.note", fails)
    model = awkward.Base()
    tape = Tape(model, model.ehr_model.parameters(), memory=10**7)
    assert torch.equal(tape.run(0, lambda: loss(model, DATA[0])), loss(model, DATA[0]))
    assert tape.notes() == ("Nothing was replayed: watching the model raised NotImplementedError.",)


def test_forwards_of_the_users_own_come_back():
    model = awkward.Base()
    own = model.cxr_model.forward
    model.cxr_model.forward = own
    tape = Tape(model, model.ehr_model.parameters(), memory=10**7)
    for _ in range(2):
        tape.run(0, lambda: loss(model, DATA[0]))
    assert vars(model.cxr_model)["forward"] == own
    assert all("forward" not in vars(m) for m in model.modules() if m is not model.cxr_model)


@pytest.mark.parametrize(("mask", "told"), [(False, False), (True, True)])
def test_indices_by_number_tell_python_nothing(mask: bool, told: bool):
    """A mask decides how many rows come out; numbers, such as last time steps, do not."""

    class Last(awkward.Base):
        def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
            seen = self.ehr_model(ehr)
            rows: Tensor = seen[:, 0] > -9 if mask else torch.arange(len(ehr))
            return self.join(seen[rows], self.cxr_model(cxr))

    torch.manual_seed(5)
    report = HessianOperator(awkward.subject_of(Last()), "ehr").report()
    assert any("reached Python" in note for note in report.notes) == told
    assert ("cxr_model" in report.replayed) != told
