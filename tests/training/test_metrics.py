"""Metrics against their definitions."""

import pytest
import torch
from torch import Tensor, nn

from sharpscope.datasets import Split, load_dataset
from sharpscope.models import MultimodalModel, SumFusion
from sharpscope.modes import evaluating
from sharpscope.recipes import build_dataset, build_model, parse_recipe
from sharpscope.subject.specs import METRICS
from sharpscope.training import evaluate


def passing(outputs: int, *names: str) -> MultimodalModel:
    """Return a model whose unimodal logits are its inputs."""
    encoders = {name: nn.Identity() for name in names}
    model = MultimodalModel(encoders, fusion=SumFusion(), width=outputs, outputs=outputs)
    for head in model.heads.values():
        assert isinstance(head, nn.Linear)
        nn.init.eye_(head.weight)
        nn.init.zeros_(head.bias)
    return model


def test_accuracy_and_cross_entropy_of_each_output():
    one = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 2.0]])
    two = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    split = Split(inputs={"a": one, "b": two}, target=torch.tensor([0, 1, 1, 1]))
    metrics = evaluate(passing(2, "a", "b"), split, classes=("no", "yes"))
    assert [metrics[name]["accuracy"] for name in ("fusion", "a", "b")] == [0.75, 0.75, 0.75]
    wanted = nn.functional.cross_entropy(one + two, split.target).item()
    assert metrics["fusion"]["loss"] == pytest.approx(wanted, rel=1e-6)
    assert list(evaluate(passing(2, "a", "b"), split, classes=("", ""), outputs=["a"])) == ["a"]


def auprc_by_hand(scores: Tensor, target: Tensor) -> float:
    """Return the mean of the precision at each positive item, best score first."""
    ranked = target[scores.argsort(descending=True)]
    precision = ranked.cumsum(0) / torch.arange(1, len(ranked) + 1)
    return precision[ranked == 1].mean().item()


def test_auprc_of_each_label_and_the_labels_without_positives():
    scores = torch.tensor([[0.9, 0.2, 0.1], [0.8, 0.7, 0.2], [0.1, 0.6, 0.3], [0.3, 0.1, 0.4]])
    target = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]])
    split = Split(inputs={"a": scores}, target=target)
    metrics = evaluate(passing(3, "a"), split, classes=("x", "y", "z"))["a"]
    assert metrics["auprc"]["x"] == pytest.approx((1 / 1 + 2 / 4) / 2)
    assert metrics["auprc"]["y"] == pytest.approx((1 / 1 + 2 / 4) / 2)
    for column, name in enumerate("xy"):
        assert metrics["auprc"][name] == pytest.approx(
            auprc_by_hand(scores[:, column], target[:, column])
        )
    assert metrics["macro_auprc"] == pytest.approx(0.75)
    assert metrics["excluded"] == ["z"]
    wanted = nn.functional.binary_cross_entropy_with_logits(scores, target).item()
    assert metrics["loss"] == pytest.approx(wanted, rel=1e-6)


def auroc_by_hand(scores: Tensor, target: Tensor) -> float:
    """Return the share of pairs of a positive and a negative item that are in order."""
    apart = scores[target == 1][:, None] - scores[target == 0][None]
    return ((apart > 0).double() + 0.5 * (apart == 0).double()).mean().item()


@pytest.mark.parametrize("several", [False, True])
def test_rankings_of_each_class_against_the_rest(several: bool):
    torch.manual_seed(0)
    scores = torch.randn(40, 3)
    target = torch.randint(0, 2, (40, 3)).float() if several else torch.randint(0, 3, (40,))
    metrics = evaluate(
        passing(3, "a"), Split(inputs={"a": scores}, target=target), classes=("x", "y", "z")
    )["a"]
    truth = target if several else nn.functional.one_hot(target, 3)
    ranked = scores if several else scores.double().softmax(1)
    for name, by_hand in (("auroc", auroc_by_hand), ("auprc", auprc_by_hand)):
        each = [by_hand(ranked[:, k], truth[:, k]) for k in range(3)]
        assert metrics[f"macro_{name}"] == pytest.approx(sum(each) / 3)
        if several:
            assert list(metrics[name].values()) == pytest.approx(each)
    right = ((scores > 0) == (truth > 0)).double() if several else (scores.argmax(1) == target)
    assert metrics["accuracy"] == pytest.approx(right.double().mean().item())
    assert (
        "macro_auroc"
        not in evaluate(
            passing(3, "a"),
            Split(inputs={"a": scores}, target=torch.zeros(40, dtype=torch.long)),
            classes=("x", "y", "z"),
            ranked=False,
        )["a"]
    )


def test_what_a_spec_may_name_is_what_is_reported_here():
    split = Split(inputs={"a": torch.ones(2, 2)}, target=torch.tensor([0, 1]))
    labels = Split(inputs={"a": torch.ones(2, 2)}, target=torch.eye(2))
    reported = [evaluate(passing(2, "a"), part, classes="xy")["a"] for part in (split, labels)]
    assert set(METRICS) <= {name for scores in reported for name in scores}


def test_no_positive_at_all_is_no_number():
    split = Split(inputs={"a": torch.randn(3, 2)}, target=torch.zeros(3, 2))
    metrics = evaluate(passing(2, "a"), split, classes=("x", "y"))["fusion"]
    assert metrics["macro_auprc"] is None
    assert metrics["excluded"] == ["x", "y"]


def test_the_model_is_left_as_it_was():
    recipe = parse_recipe("mfeat:fou+mor", settings={"dropout": 0.5})
    model = build_model(recipe, build_dataset(recipe)).train()
    model.encoders["fou"].eval()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    split = load_dataset("mfeat", "fou+mor").splits["val"]
    first, second = (evaluate(model, split, classes=tuple("0123456789")) for _ in range(2))
    assert first == second
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())


def test_modes_come_back_after_an_error():
    model = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    inside: list[bool] = []

    def fail() -> None:
        with evaluating(model):
            inside.extend(module.training for module in model)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert inside == [False, False]
    assert [module.training for module in model] == [True, False]
