"""What stands around a model: hooks, blocks, loaders, criteria; none changes a product."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.operators import HessianOperator
from tests import problems
from tests.oracles import Oracle
from tests.subject.restless import data, measure, restless, subject_over
from tests.subject.snapshot import photograph, same


def test_gradient_hooks_rest_during_the_measurement_and_work_after_it():
    model = restless()
    plain = measure(subject_over(model))
    fired: list[int] = []

    def mask(grad: Tensor) -> Tensor:
        fired.append(1)
        return grad * 0

    handle = model.first.weight.register_hook(mask)
    model.first.weight.register_post_accumulate_grad_hook(lambda _: fired.append(2))
    for dtype in (None, "float64"):
        masked = measure(subject_over(model, dtype=dtype))
        torch.testing.assert_close(masked.float(), plain)
    assert not fired
    model(data()[0][0]).sum().backward()
    assert fired == [1, 2]
    handle.remove()
    model(data()[0][0]).sum().backward()
    assert fired == [1, 2, 2]


@pytest.mark.parametrize(
    "around", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")]
)
def test_a_block_around_the_measurement_changes_nothing(around: Callable[[], Any]):
    model = restless()
    plain = measure(subject_over(model))
    with around():
        assert torch.equal(measure(subject_over(model)), plain)
        assert torch.is_grad_enabled() == (around not in (torch.no_grad, torch.inference_mode))


def _precisions() -> list[str]:
    backends: Any = torch.backends
    kinds = (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)
    kinds += (backends.mkldnn.conv, backends.mkldnn.rnn, backends.mkldnn.matmul)
    return [kind.fp32_precision for kind in kinds]


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="needs torch 2.9")
def test_short_mantissas_rest_during_the_measurement(monkeypatch: pytest.MonkeyPatch):
    """TF32 and bfloat16 would round a product like half precision, and nobody would see it."""
    seen: list[list[str]] = []

    class Looking(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            seen.append(_precisions())
            return self.first(x)

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        asked = _precisions()
        measure(subject_over(Looking(), encoders={"a": "first"}))
        assert _precisions() == asked
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert {"bf16", "tf32"} <= set(asked)
    assert all(precision in ("none", "ieee") for precisions in seen for precision in precisions)


def _loaders() -> dict[str, tuple[DataLoader[Any], torch.Generator]]:
    items = TensorDataset(*(torch.cat(part) for part in zip(*data(), strict=True)))
    one, two = torch.Generator().manual_seed(5), torch.Generator().manual_seed(6)
    nested = BatchSampler(RandomSampler(items, generator=two), 4, drop_last=False)
    return {
        "own": (DataLoader(items, batch_size=4, shuffle=True, generator=one), one),
        "nested": (DataLoader(items, batch_sampler=nested), two),
    }


@pytest.mark.parametrize("kind", ["own", "nested"])
def test_the_generator_of_a_loader_is_put_back_though_the_loader_is_refused(kind: str):
    loader, generator = _loaders()[kind]
    before = generator.get_state()
    with pytest.raises(SubjectError, match="shuffle=False"):
        measure(subject_over(restless(), data=loader))
    assert torch.equal(generator.get_state(), before)


def test_a_criterion_stands_still_with_the_model_and_follows_its_dtype():
    class Averaging(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("weight", torch.tensor([1.0, 2.0]))
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            self.get_buffer("seen").add_(1)
            return functional.cross_entropy(output, target, weight=self.get_buffer("weight"))

    criterion, model = Averaging(), restless()
    before = photograph(criterion)
    assert measure(subject_over(model, loss=criterion, dtype="float64")).abs().max() > 0
    same(criterion, before)


def test_torchscript_is_refused():
    model = restless()
    with pytest.warns(DeprecationWarning, match="torch.jit.script"):
        scripted = torch.jit.script(nn.Linear(3, 4))
    model.first = scripted  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(MisuseError, match=r"model is \(partly\) TorchScript"):
        subject_over(model)


class Padded(nn.Module):
    """A stock transformer that is told which positions are padding."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True), 1
        )
        self.project = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        padding = torch.arange(5)[None] >= torch.arange(2, 2 + len(x))[:, None].clamp(max=5)
        hidden = self.layer(self.project(x), src_key_padding_mask=padding)
        return hidden.masked_fill(padding[..., None], 0).mean(1)


@pytest.mark.parametrize("name", ["ehr", "cxr"])
def test_padding_masks_change_no_product_and_give_no_warning(name: str):
    torch.manual_seed(0)
    cxr = nn.Sequential(nn.Flatten(), nn.Linear(36, 4))
    model = problems.TwoEncoders(Padded(), cxr, nn.Linear(8, 3))
    batch = problems.batches((4,))
    operator = HessianOperator(problems.subject_of(model, data=batch), name)
    oracle = Oracle(
        model,
        operator.selection.names,
        lambda m: functional.cross_entropy(
            m(batch[0][0].double(), batch[0][1].double()), batch[0][2]
        ),
    )
    vector = functional.normalize(torch.randn(operator.dim, dtype=torch.float64), dim=0)
    gradient = oracle.gradient(create_graph=True)
    exact = torch.autograd.grad(gradient @ vector, oracle.parameters)
    torch.testing.assert_close(
        operator.matvec(vector), torch.cat([g.reshape(-1) for g in exact]), rtol=1e-10, atol=1e-12
    )
