"""Train and eval mode, given back as they were."""

from collections.abc import Generator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Generator[None]:
    """Hold the model in eval mode inside the block; give each module its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        model.train(modes[0][1])  # some modules do more there than set the flag
        for module, mode in modes:
            module.training = mode
