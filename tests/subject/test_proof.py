"""The proof that a subject stands still, and the sentence for each way in which it does not."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from sharpscope.errors import SubjectError
from sharpscope.operators import HessianOperator
from sharpscope.subject import Subject, proof

X = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 1, 0, 1, -100, 0])
DATA = [(X[:4], Y[:4]), (X[4:], Y[4:])]


class Acting(nn.Module):
    """A linear layer, and something done to its output."""

    def __init__(self, act: Callable[[nn.Module, Tensor], Tensor] = lambda module, x: x):
        super().__init__()
        torch.manual_seed(4)
        self.a = nn.Linear(3, 2)
        self.act = act
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.act(self, self.a(x))


def subject_over(data: Any = DATA, model: nn.Module | None = None, **settings: Any) -> Subject:
    defaults: dict[str, Any] = {"loss": functional.cross_entropy, "encoders": {"a": "a"}}
    return Subject(model or Acting(), data, **(defaults | settings))


def fails(sentence: str, *args: Any, **settings: Any) -> None:
    with pytest.raises(SubjectError, match=sentence):
        subject_over(*args, **settings).census()


def test_the_census_counts_items_batches_and_weight():
    model = Acting()
    found = subject_over(model=model).census()
    assert (found.batches, found.samples, found.weight) == (2, 7, 6.0)
    exact = functional.cross_entropy(model(X), Y).item()
    assert found.loss_value == pytest.approx(exact, rel=1e-6)
    assert found == subject_over(model=model).census()


def test_the_census_of_class_weights_divides_by_them():
    weights = torch.tensor([0.2, 5.0])
    found = subject_over(loss=nn.CrossEntropyLoss(weight=weights), dtype="float64").census()
    assert found.weight == pytest.approx(3 * 0.2 + 3 * 5.0, rel=1e-7)
    exact = functional.cross_entropy(Acting().double()(X.double()), Y, weight=weights.double())
    assert found.loss_value == pytest.approx(exact.item(), rel=1e-13)


def test_the_fingerprint_is_of_content_and_order():
    prints = [subject_over(data).census().fingerprint for data in (DATA, DATA[::-1], DATA[:1])]
    assert len(set(prints)) == 3


def _dropout(module: nn.Module, x: Tensor) -> Tensor:
    return functional.dropout(x, 0.5, training=True)


def _drift(module: nn.Module, x: Tensor) -> Tensor:
    return x * (1 + 1e-4 * module.calls)  # pyright: ignore[reportOperatorIssue]


@pytest.mark.parametrize("act", [_dropout, _drift, lambda m, x: x + torch.randn_like(x)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models_that_move_are_found(act: Any, dtype: str):
    fails(
        r"model does not stand still: batch 1 gave the loss sums [-\d.e]+ and [-\d.e]+ although .*"
        "look for dropout called as a function without training=self.training",
        model=Acting(act),
        dtype=dtype,
    )


class Awake(nn.Dropout):
    def train(self, mode: bool = True) -> "Awake":
        self.training = True
        return self


def test_a_module_that_stays_in_training_mode_is_named():
    model = Acting()
    model.a = nn.Sequential(nn.Linear(3, 2), Awake())  # pyright: ignore[reportAttributeAccessIssue]
    fails("a.1 stays in training mode after eval", model=model)


def test_a_weight_that_moves_is_found():
    weights = iter(range(1, 9))
    loss: Any = lambda model, batch: (model(batch[0]).sum(), next(weights))  # noqa: E731
    fails("the loss does not stand still: batch 1 weighed 1 and then 3", loss=loss)


class Walks:
    """A loader whose passes differ."""

    def __init__(self, *passes: list[Any]):
        self.passes = list(passes)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.passes.pop(0))


def test_shuffling_is_told_by_its_order():
    fails("two passes over it differ: the same batches came in another.*shuffle=False", _orders())
    loader = DataLoader(TensorDataset(X, Y), batch_size=2, shuffle=True)
    fails("the data does not stand still, two passes .*: set shuffle=False", loader)


def _orders() -> Walks:
    return Walks(DATA, DATA[::-1])


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (lambda: iter(DATA), "second is empty, so the loader is a one-shot iterator: pass list"),
        (lambda: (b for b in DATA), "second is empty, so the loader is a one-shot iterator"),
        (lambda: Walks(DATA, DATA[:1]), "the first has 2 batches, the second 1"),
        (lambda: Walks(DATA[:1], DATA), "the first has 1 batches, the second 2"),
        (
            lambda: Walks(DATA, [(X[:4] + 1, Y[:4]), DATA[1]]),
            "their tensors differ: set shuffle=False, and take out random augmentation",
        ),
        (lambda: Walks(DATA, [DATA[0], DATA[0]]), "their tensors differ"),
    ],
)
def test_data_that_moves(data: Any, cause: str):
    fails(f"data does not stand still, two passes over it differ: .*{cause}", data())


class Augmented(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Any:
        return X[index] + torch.randn(3), Y[index]


def test_random_augmentation_is_found():
    fails("their tensors differ: .*random augmentation", DataLoader(Augmented(), batch_size=4))


def test_a_loader_in_order_stands_still():
    found = subject_over(DataLoader(TensorDataset(X, Y), batch_size=4)).census()
    assert found == subject_over().census()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite(bad: float):
    data = [DATA[0], (X[4:].clone().fill_(bad), Y[4:])]
    fails(r"batch 2: the loss is not finite \(sum nan, weight 2\); look for NaN in the data", data)


def test_a_negative_weight():
    loss: Any = lambda model, batch: (model(batch[0]).sum(), -1)  # noqa: E731
    fails(r"batch 1: the loss is not finite \(sum .*, weight -1\)", loss=loss)


def test_no_data_and_no_weight():
    fails("the data is empty: the loader gave no batch", [])
    masked = [(X, torch.full((7,), -100))]
    fails("the data has no weight: every target is masked or weighs 0", masked)


def test_one_masked_batch_is_no_fault():
    data = [(X[:1], torch.tensor([-100])), *DATA]
    assert subject_over(data).census().loss_value == subject_over().census().loss_value


def test_a_batch_that_the_model_refuses_is_numbered_with_its_own_error():
    data = [DATA[0], (X[:, :2], Y)]
    fails(r"batch 2: the model or its loss raised RuntimeError: mat1 and mat2 shapes", data)


def test_an_error_without_a_message_and_one_of_many_lines():
    def raising(error: Exception) -> Any:
        def act(*_: Any) -> Tensor:
            raise error

        return Acting(act)

    taken = r" \(taken as 1 input \(4×3 float32\) and target \(4 int64\)\)$"
    fails(
        f"batch 1: the model or its loss raised KeyError: no message{taken}",
        model=raising(KeyError()),
    )
    fails(f"raised ValueError: one two{taken}", model=raising(ValueError("one\n   two")))
    # What a callable makes of a batch is its own business.

    def own(model: nn.Module, batch: Any) -> Any:
        return model(batch[0])

    fails("raised ValueError: three$", model=raising(ValueError("three")), loss=own)


def test_a_batch_of_another_form_is_numbered():
    fails("^batch 2: a batch must be a tuple", [DATA[0], X])
    fails("^batch 1: the model returned a tuple without", model=Acting(lambda m, x: (x, x)))  # pyright: ignore[reportArgumentType, reportReturnType]


def _broken(error: Exception) -> Any:
    def walk() -> Iterator[Any]:
        yield DATA[0]
        raise error

    return walk()


def test_a_loader_that_raises():
    fails("^batch 2: the loader raised OSError: disk gone$", _broken(OSError("disk gone")))
    fails("^batch 2: the disk is gone$", _broken(SubjectError("the disk is gone")))


class Unordered:
    def __iter__(self) -> Any:
        raise ValueError("no order")


def test_a_loader_that_cannot_even_begin():
    fails("^batch 1: the loader raised ValueError: no order$", Unordered())


class Opaque:
    def __init__(self, x: Tensor):
        self.x = x


def test_opaque_batches_with_a_pair_need_their_number_of_items():
    loss: Any = lambda model, batch: (model(batch.x).square().sum(), 7)  # noqa: E731
    fails("^batch 1: a batch of type Opaque holds no tensor", [Opaque(X)], loss=loss)
    found = subject_over([Opaque(X)], loss=loss, batch_size=lambda b: len(b.x)).census()
    assert (found.samples, found.weight) == (7, 7.0)
    fails(
        "^batch 1: batch_size raised AttributeError: 'Opaque' object has no attribute 'y'",
        [Opaque(X)],
        loss=loss,
        batch_size=lambda b: len(b.y),
    )


def test_batch_size_weighs_the_means_of_a_callable():
    loss: Any = lambda model, batch: model(batch[0].T).square().mean()  # noqa: E731
    model = Acting()
    turned = [(X[:4].T, None), (X[4:].T, None)]
    found = subject_over(turned, model, loss=loss, batch_size=lambda b: b[0].shape[1]).census()
    assert found.samples == 7
    assert found.loss_value == pytest.approx(model(X).square().mean().item(), rel=1e-6)


class Jittery(nn.Module):
    """A linear layer whose sums come in another order each time, as some kernels of a GPU do."""

    def __init__(self, size: float):
        super().__init__()
        torch.manual_seed(4)
        self.a = nn.Linear(3, 2)
        self.size = size
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.a(x) * (1 + self.size * (self.calls % 3 - 1))


def test_where_kernels_are_restless_the_spread_of_repeats_is_the_measure(
    monkeypatch: pytest.MonkeyPatch,
):
    rounding = torch.finfo(torch.float32).eps
    fails("the model does not stand still", model=Jittery(300 * rounding))
    monkeypatch.setattr(proof, "_may_be_restless", lambda device: True)
    assert subject_over().census().slack == 64 * rounding
    found = subject_over(model=Jittery(100 * rounding)).census()
    assert 100 * rounding < found.slack <= 1024 * rounding
    # Dropout is no order of a sum, however often it is repeated.
    fails("the model does not stand still", model=Jittery(0.1))


def test_products_follow_the_measured_spread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(proof, "_may_be_restless", lambda device: True)
    operator = HessianOperator(subject_over(model=Jittery(100 * 1.2e-7), memory=0), "a")
    assert operator.matvec(torch.ones(8)).norm() > 0
