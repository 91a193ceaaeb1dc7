"""Every loss as (sum, weight): torch's own mean on one batch, the joined mean on several."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.subject import NAMED_LOSSES, LossSum, Subject
from sharpscope.subject.batches import length
from sharpscope.subject.losses import as_batch_loss, is_finite, total_loss

N, C = 9, 4
GENERATOR = torch.Generator().manual_seed(0)
Pair = tuple[Tensor, Tensor]


def _outputs(*shape: int) -> Tensor:
    return torch.randn(N, *shape, generator=GENERATOR)


def _classes(*shape: int) -> Tensor:
    target = torch.randint(0, C, (N, *shape), generator=GENERATOR)
    target.view(-1)[::4] = -100
    return target


SCORES, SPATIAL = _outputs(C), _outputs(C, 5)
INDEX, INDEX_2D = _classes(), _classes(5)
PROBABLE = torch.rand(N, C, generator=GENERATOR).softmax(1)
PROBABLE_2D = torch.rand(N, C, 5, generator=GENERATOR).softmax(1)
BINARY = torch.randint(0, 2, (N, C), generator=GENERATOR).float()
SIGNS = 2 * BINARY - 1
LABELS = torch.tensor([[0, 2, -1, 1]]).expand(N, C).contiguous()
WEIGHTS = torch.tensor([0.1, 0.7, 3.3, 1.9])  # their float32 sums are rounded
partial = functools.partial

CASES: dict[str, tuple[Any, Tensor, Tensor]] = {
    "cross_entropy": (functional.cross_entropy, SCORES, INDEX),
    "cross_entropy module": (nn.CrossEntropyLoss(), SCORES, INDEX),
    "class weights": (nn.CrossEntropyLoss(weight=WEIGHTS), SCORES, INDEX),
    "class weights partial": (partial(functional.cross_entropy, weight=WEIGHTS), SCORES, INDEX),
    "ignore_index": (nn.CrossEntropyLoss(ignore_index=2), SCORES, INDEX.clamp(min=0)),
    "ignore_index partial": (
        partial(functional.cross_entropy, ignore_index=0),
        SCORES,
        INDEX.clamp(min=0),
    ),
    "smoothing": (nn.CrossEntropyLoss(label_smoothing=0.2), SCORES, INDEX),
    "smoothing, weights": (
        nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.2, ignore_index=1),
        SCORES,
        INDEX.clamp(min=0),
    ),
    "probabilities": (functional.cross_entropy, SCORES, PROBABLE),
    "probabilities, weights": (nn.CrossEntropyLoss(weight=WEIGHTS), SCORES, PROBABLE),
    "spatial": (nn.CrossEntropyLoss(weight=WEIGHTS), SPATIAL, INDEX_2D),
    "spatial probabilities": (functional.cross_entropy, SPATIAL, PROBABLE_2D),
    "nll": (functional.nll_loss, SCORES.log_softmax(1), INDEX),
    "nll module": (nn.NLLLoss(weight=WEIGHTS), SCORES.log_softmax(1), INDEX),
    "bce_with_logits": (functional.binary_cross_entropy_with_logits, SCORES, BINARY),
    "pos_weight": (nn.BCEWithLogitsLoss(pos_weight=WEIGHTS), SCORES, BINARY),
    "bce weight": (nn.BCEWithLogitsLoss(weight=WEIGHTS), SCORES, BINARY),
    "bce": (nn.BCELoss(), SCORES.sigmoid(), BINARY),
    "mse": (functional.mse_loss, SCORES, BINARY),
    "mse spatial": (nn.MSELoss(), SPATIAL, PROBABLE_2D),
    "l1": (nn.L1Loss(), SCORES, BINARY),
    "smooth l1": (partial(functional.smooth_l1_loss, beta=0.3), SCORES, BINARY),
    "huber": (nn.HuberLoss(delta=0.4), SCORES, BINARY),
    "poisson": (nn.PoissonNLLLoss(), SCORES, BINARY),
    "kl batchmean": (nn.KLDivLoss(reduction="batchmean"), SCORES.log_softmax(1), PROBABLE),
    "kl batchmean partial": (
        partial(functional.kl_div, reduction="batchmean", log_target=True),
        SCORES.log_softmax(1),
        PROBABLE.log(),
    ),
    "soft margin": (functional.soft_margin_loss, SCORES, SIGNS),
    "hinge": (nn.HingeEmbeddingLoss(), SCORES, SIGNS),
    "multi margin": (nn.MultiMarginLoss(weight=WEIGHTS), SCORES, INDEX.clamp(min=0)),
    "multi-label margin": (nn.MultiLabelMarginLoss(), SCORES, LABELS),
    "multi-label soft margin": (nn.MultiLabelSoftMarginLoss(weight=WEIGHTS), SCORES, BINARY),
}


def _sums(loss: Any, output: Tensor, target: Tensor, sizes: tuple[int, ...]) -> list[LossSum]:
    measured = as_batch_loss(loss, length=length)
    pairs = zip(output.split(sizes), target.split(sizes), strict=True)
    return [measured(nn.Identity(), pair) for pair in pairs]


def _mean(sums: list[LossSum]) -> float:
    return sum(s.total.item() for s in sums) / sum(s.weight for s in sums)


@pytest.mark.parametrize("sizes", [(N,), (4, 4, 1)])
@pytest.mark.parametrize("name", CASES)
def test_batches_give_the_mean_of_the_joined_batch(name: str, sizes: tuple[int, ...]):
    loss, output, target = CASES[name]
    sums = _sums(loss, output.double(), _wide(target), sizes)
    assert _mean(sums) == pytest.approx(_torch_mean(loss, output, target), rel=1e-13)


# "batchmean" is a reduction itself.
@pytest.mark.parametrize("name", [name for name in CASES if "kl" not in name])
def test_a_sum_asked_for_by_the_user_is_the_same_mean(name: str):
    loss, output, target = CASES[name]
    summed = type(loss).__new__(type(loss)) if isinstance(loss, nn.Module) else None
    if summed is not None:
        summed.__dict__.update(loss.__dict__ | {"reduction": "sum"})
    else:
        summed = partial(loss, reduction="sum")
    one = _sums(loss, output, target, (4, 4, 1))
    other = _sums(summed, output, target, (4, 4, 1))
    assert [s.weight for s in one] == [s.weight for s in other]
    assert [s.total.item() for s in one] == [s.total.item() for s in other]
    assert getattr(summed, "reduction", "sum") == "sum"  # the user's criterion is not touched


def _wide(target: Tensor) -> Tensor:
    return target.double() if target.is_floating_point() else target


def _torch_mean(loss: Any, output: Tensor, target: Tensor) -> float:
    """Return torch's own mean over all items, everything in float64."""
    if isinstance(loss, nn.Module):
        loss = copy.deepcopy(loss).double()
    elif isinstance(loss, functools.partial) and "weight" in loss.keywords:
        loss = partial(loss, weight=loss.keywords["weight"].double())
    return loss(output.double(), _wide(target)).item()


def test_the_mean_of_a_divergence_counts_every_element():
    output, target = SCORES.log_softmax(1), PROBABLE
    sums = _sums(nn.KLDivLoss(), output, target, (4, 4, 1))
    batchmean = functional.kl_div(output, target, reduction="batchmean").item()
    assert _mean(sums) == pytest.approx(batchmean / C, rel=1e-6)


@pytest.mark.parametrize("function", [functional.mse_loss, functional.l1_loss])
def test_element_weights_are_what_the_mean_divides_by(function: Any):
    weights = torch.rand(N, C, generator=GENERATOR)
    loss = partial(function, weight=weights)
    (one,) = _sums(loss, SCORES, BINARY, (N,))
    assert one.total.item() / one.weight == pytest.approx(loss(SCORES, BINARY).item(), rel=1e-6)


@pytest.mark.parametrize("loss", ["mse", nn.MSELoss(), functional.l1_loss, nn.HuberLoss()])
@pytest.mark.parametrize("shapes", [((8, 1), (8,)), ((8,), (8, 1)), ((8, 3), (8, 4))])
def test_shapes_that_torch_would_broadcast_are_refused(loss: Any, shapes: tuple[Any, Any]):
    measured = as_batch_loss(loss, length=length)
    output, target = (torch.ones(shape) for shape in shapes)
    with pytest.raises(SubjectError) as caught:
        measured(nn.Identity(), (output, target))
    said = str(caught.value).partition(" ")[2]
    assert said == (
        f"needs a prediction and a target of one shape; got {list(shapes[0])} and "
        f"{list(shapes[1])}: reshape one of them in the model or in the data"
    )
    assert measured(nn.Identity(), (output, output)) == LossSum(torch.tensor(0.0), output.numel())


def test_names_are_the_torch_losses():
    for name, function in NAMED_LOSSES.items():
        target = INDEX if name == "cross_entropy" else BINARY
        assert _sums(name, SCORES, target, (N,)) == _sums(function, SCORES, target, (N,))


class Focal(nn.CrossEntropyLoss):
    """A subclass that reduces by itself, as users write them."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        probability = (-functional.cross_entropy(input, target, reduction="none")).exp()
        return ((1 - probability) ** 2 * -probability.log()).mean()


class Renamed(nn.CrossEntropyLoss):
    """A subclass that changes nothing keeps its weights."""


class Custom(nn.Module):
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output.mean(1) - target.float()).abs().mean()


@pytest.mark.parametrize("loss", [Focal(), Custom(), Renamed(weight=WEIGHTS)])
def test_criteria_of_the_user_give_the_joined_mean(loss: nn.Module):
    target = INDEX.clamp(min=0)
    found = _mean(_sums(loss, SCORES, target, (4, 4, 1)))
    assert found == pytest.approx(loss(SCORES, target).item(), rel=1e-6)


def _called(value: Callable[[Any], Any]) -> LossSum:
    measured = as_batch_loss(lambda model, batch: value(batch), length=length)
    return measured(nn.Identity(), (SCORES, INDEX))


def test_callables_return_a_mean_or_a_pair():
    assert _called(lambda b: b[0].mean()).weight == N
    assert _called(lambda b: b[0].mean()).total.item() == pytest.approx(N * SCORES.mean().item())
    pair = _called(lambda b: (b[0].sum(), b[0].numel()))
    assert pair == LossSum(SCORES.sum(), 36.0)
    weight = _called(lambda b: (b[0].sum().reshape(1), torch.tensor([36]))).weight
    assert (weight, type(weight)) == (36.0, float)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (lambda b: b[0], r"one number, .*got a tensor of shape \(9, 4\)$"),
        (lambda b: 0.5, r"a pair \(sum, weight\); got 0.5$"),
        (lambda b: None, r"got None$"),
        (lambda b: (b[0].mean(), {"logits": 1}), r"the weight .* must be one number; got dict$"),
        (lambda b: (b[0].mean(), b[0]), r"the weight .* must be one number; got Tensor$"),
        (lambda b: (0.5, 3), r"got 0.5$"),
        (lambda b: (b[0].sum(), 1, 2), r"got tuple of 3$"),
        (lambda b: {"loss": b[0], "x": b[0]}, r"got dict of loss, x: return its entry 'loss'$"),
        (lambda b: {}, r"got dict of nothing$"),
    ],
)
def test_other_returns_are_one_sentence(value: Any, sentence: str):
    with pytest.raises(SubjectError, match=sentence):
        _called(value)


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (3, r"loss must be a name, a torch loss or a callable\(model, batch\); got 3$"),
        (
            "mce",
            r"loss must be 'cross_entropy', 'bce_with_logits' or 'mse'; got 'mce'; did you mea",
        ),
        (nn.CrossEntropyLoss, r"CrossEntropyLoss'>, a class: make one of it first$"),
    ],
)
def test_what_is_no_loss_is_refused(loss: Any, sentence: str):
    with pytest.raises(MisuseError, match=sentence):
        as_batch_loss(loss, length=length)


def _constant(total: float, weight: float) -> Any:
    return lambda model, batch: LossSum(torch.tensor(total), weight)


def test_the_total_loss_adds_the_unimodal_ones():
    loss = total_loss(_constant(6, 3), {"a": _constant(9, 3), "b": _constant(1, 3)}, 0.5)
    assert loss(nn.Identity(), None) == LossSum(torch.tensor(11.0), 3)


def test_losses_that_weigh_a_batch_differently_have_no_total():
    loss = total_loss(_constant(6, 3), {"a": _constant(9, 4)}, 1.0)
    with pytest.raises(SubjectError, match="fusion weighs 3 and a weighs 4; measure them one by"):
        loss(nn.Identity(), None)


@pytest.mark.parametrize("loss", ["mse", functional.mse_loss, nn.MSELoss(), Custom()])
def test_a_criterion_cannot_be_a_unimodal_loss(loss: Any):
    with pytest.raises(MisuseError, match="unimodal loss of 'a' must be a callable"):
        Subject(nn.Linear(4, 4), [], loss="mse", encoders={"a": "weight"}, unimodal={"a": loss})


def test_finite_means_a_finite_sum_and_a_weight_that_is_not_negative():
    one = torch.tensor(1.0)
    assert is_finite(LossSum(one, 0.0))
    for total, weight in ((one, -1.0), (one, float("nan")), (one / 0, 1.0), (one * torch.nan, 1.0)):
        assert not is_finite(LossSum(total, weight))


def test_a_mean_over_nobody_knows_how_many_items_is_refused():
    """Time-first codes: the first axis of the first tensor is time, and no weight of a mean."""
    codes, target = torch.randn(6, 4, 3), torch.tensor([0, 1, 1, 0])
    model = nn.Linear(3, 2)

    def mean(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch[0]).mean(0), batch[1])

    def pair(model: nn.Module, batch: Any) -> tuple[Tensor, int]:
        return 4 * mean(model, batch), 4

    data = [(codes, target), (codes[:, :2], target[:2])]
    settings: dict[str, Any] = {"encoders": {"a": "weight"}}
    with pytest.raises(
        SubjectError,
        match=r"batch 1: the loss is a mean, and the tensors of the batch \(\[6, 4, 3\], \[4\]\) "
        r"do not agree on over how many items: pass batch_size=, .* return a pair \(sum, weight\)",
    ):
        Subject(model, data, loss=mean, **settings).census()
    counted = Subject(model, data, loss=mean, batch_size=lambda b: len(b[1]), **settings).census()
    assert (counted.samples, counted.weight) == (6, 6)
    assert Subject(model, data[:1], loss=pair, **settings).census().weight == 4
    one = [(codes[0], target, torch.ones(1, 5))]  # what has one row is the whole batch's
    alone = Subject(
        model, one, loss=lambda m, b: functional.cross_entropy(m(b[0]), b[1]), **settings
    )
    assert alone.census().weight == 4
