"""Torch's transformer layers with fewer copies: the same numbers, or torch's own way."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from sharpscope.replay import Tape
from sharpscope.replay.lean import Lean

CLOSE = {torch.float32: 1e-6, torch.float64: 1e-13}


def sequences(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1), dtype=dtype)


def layer(**settings: Any) -> nn.TransformerEncoderLayer:
    torch.manual_seed(0)
    made = nn.TransformerEncoderLayer(8, 2, 12, **settings)
    for parameter in made.parameters():  # biases and norms are trivial at first
        nn.init.normal_(parameter, std=0.3)
    return made.eval()


def attention(**settings: Any) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    made = nn.MultiheadAttention(8, 2, **settings)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    return made.eval()


@pytest.fixture
def torchs_own(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What torch's own attention was called for."""
    calls: list[str] = []
    run = functional.multi_head_attention_forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append("attention")
        return run(*args, **kwargs)

    monkeypatch.setattr(functional, "multi_head_attention_forward", counted)
    monkeypatch.setattr(torch.backends.mha, "get_fastpath_enabled", lambda: False)
    return calls


def both(model: nn.Module, work: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """Return what a pass returns plainly and with fewer copies."""
    lean = Lean(model)
    with torch.no_grad(), sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
        plain = work()
        with lean.running():
            return plain, work()


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize(
    ("norm_first", "batch_first", "bias"), [*itertools.product((True, False), repeat=3)]
)
@pytest.mark.parametrize("activation", ["relu", "gelu", nn.ReLU()])
def test_layers_have_the_same_numbers(
    norm_first: bool,
    batch_first: bool,
    bias: bool,
    activation: Any,
    dtype: torch.dtype,
    torchs_own: list[str],
):
    order = {"norm_first": norm_first, "batch_first": batch_first}
    made = [layer(bias=bias, activation=activation, **order) for _ in range(2)]
    model, x = nn.Sequential(*made).to(dtype), sequences(dtype)
    before = x.clone()
    plain, lean = both(model, lambda: model(x))
    assert len(torchs_own) == 2
    assert lean.shape == plain.shape
    assert (lean - plain).abs().max() <= CLOSE[dtype]
    assert torch.equal(x, before)
    assert all("forward" not in vars(part) for part in model.modules())


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize(("batch_first", "bias"), [*itertools.product((True, False), repeat=2)])
def test_attention_alone_has_the_same_numbers(
    batch_first: bool, bias: bool, dtype: torch.dtype, torchs_own: list[str]
):
    model, x = attention(batch_first=batch_first, bias=bias).to(dtype), sequences(dtype)
    plain, lean = both(model, lambda: model(x, x, x, need_weights=False)[0])
    assert len(torchs_own) == 1
    assert (lean - plain).abs().max() <= CLOSE[dtype]


def test_an_encoder_of_layers_passes_no_mask(torchs_own: list[str]):
    model = nn.TransformerEncoder(layer(), 2, enable_nested_tensor=False).eval()
    x = sequences()
    plain, lean = both(model, lambda: model(x))
    assert len(torchs_own) == 2
    assert (lean - plain).abs().max() <= 1e-6


def test_fewer_copies_are_made_and_no_other_products():
    counts: list[dict[str, int]] = []
    model, x = nn.Sequential(layer(norm_first=True), layer(norm_first=True)), sequences()

    def counted() -> Tensor:
        with torch.profiler.profile() as profile:
            found = model(x)
        counts.append({event.key: event.count for event in profile.key_averages()})
        return found

    both(model, counted)
    plain, lean = counts
    assert lean["aten::clone"] < plain["aten::clone"]
    assert lean["aten::addmm"] == plain["aten::addmm"]
    assert lean["aten::layer_norm"] == plain["aten::layer_norm"]


class Another(nn.TransformerEncoderLayer):
    """A layer with a block of its own."""

    def _ff_block(self, x: Tensor) -> Tensor:
        return 2 * super()._ff_block(x)


class Doubled(nn.Linear):
    """A layer that computes something else."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def _twice(module: nn.Module, args: Any, output: Tensor) -> Tensor:
    return 2 * output


def _subclass() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    return Another(8, 2, 12).eval(), lambda model: model(sequences())


def _strange_part() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    made = layer()
    made.linear1 = Doubled(8, 12)
    return made, lambda model: model(sequences())


def _strange_norm() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    made: Any = layer()
    made.norm1 = nn.RMSNorm(8)
    return made, lambda model: model(sequences())


def _own_method() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    made: Any = layer()
    made._ff_block = torch.sin
    return made, lambda model: model(sequences())


def _hook() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    made = layer()
    made.norm2.register_forward_hook(_twice)
    return made, lambda model: model(sequences())


def _late_hook() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    def work(model: Any) -> Tensor:
        handle = model.norm2.register_forward_hook(_twice)
        try:
            return model(sequences())
        finally:
            handle.remove()

    return layer(), work


def _training() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    made = layer(dropout=0.0)
    made.dropout1.train()
    return made, lambda model: model(sequences())


def _mask() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    hidden = torch.ones(3, 3).triu(1).bool()
    return layer(), lambda model: model(sequences(), src_mask=hidden)


def _padding() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    padded = torch.zeros(5, 3).bool()
    padded[1, 2] = True
    return layer(), lambda model: model(sequences(), None, padded)


def _one_sequence() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    return layer(), lambda model: model(sequences()[:, 0])


def _weights() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    x = sequences()
    return attention(), lambda model: model(x, x, x)[1]


def _other_values() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    x = sequences()
    return attention(), lambda model: model(x, x, x + 1, need_weights=False)[0]


def _own_bias() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    x = sequences()
    return attention(add_bias_kv=True), lambda model: model(x, x, x, need_weights=False)[0]


def _attention_mask() -> tuple[nn.Module, Callable[[Any], Tensor]]:
    x, hidden = sequences(), torch.ones(3, 3).triu(1).bool()
    return attention(), lambda model: model(x, x, x, need_weights=False, attn_mask=hidden)[0]


STRANGE = (_subclass, _strange_part, _strange_norm, _own_method, _hook, _training)
ASKED = (_late_hook, _mask, _padding, _one_sequence)
ATTENTION = (_weights, _other_values, _own_bias, _attention_mask)


@pytest.mark.parametrize("make", STRANGE)
def test_layers_that_are_not_all_torchs_run_as_ever(make: Callable[[], Any], torchs_own: list[str]):
    model, work = make()
    plain, lean = both(model, lambda: work(model))
    assert Lean(model).names == ("self_attn",)  # which is torch's own
    assert (lean - plain).abs().max() <= 1e-6
    assert len(torchs_own) == 1


@pytest.mark.parametrize("make", ASKED + ATTENTION)
def test_calls_for_more_run_as_ever(make: Callable[[], Any], torchs_own: list[str]):
    model, work = make()
    plain, lean = both(model, lambda: work(model))
    assert torch.equal(plain, lean)
    assert len(torchs_own) == 2


def test_what_is_played_back_inside_is_not_computed_again(torchs_own: list[str]):
    model, x = layer(), sequences()
    tape = Tape(model, model.linear2.parameters(), memory=10**6)
    lean = Lean(model)
    with torch.no_grad(), lean.running():
        first = tape.run(1, lambda: model(x))
        torchs_own.clear()
        again = tape.run(1, lambda: model(x))
    assert "self_attn" in tape.played
    assert torch.equal(first, again)
    assert not torchs_own
