"""Prefixes that wrappers put before parameter names, and the parts that names fall into."""

import re
from collections.abc import Generator, Iterable, Mapping
from typing import Any

from torch import Tensor

from sharpscope.subject.owners import clean

# DataParallel and DistributedDataParallel say module., Lightning modules mostly model.
WRAPPERS = ("module.", "model.")
_INNER_PARALLEL = re.compile(r"(?<=\.)module\.")
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def strippings(names: Iterable[str]) -> Generator[dict[str, str]]:
    """Yield every reading of ``names`` without wrapper prefixes, as new name to old name.

    The least stripped comes first. A reading under which two names become one is left out.
    """
    olds = list(names)
    current = [clean(name) for name in olds]
    if len(set(current)) < len(olds):
        current = olds
    while True:
        inner = [_INNER_PARALLEL.sub("", name) for name in current]
        for reading in (current,) if inner == current else (current, inner):
            if len(set(reading)) == len(olds):
                yield dict(zip(reading, olds, strict=True))
        stripped = [_without_wrapper(name) for name in current]
        if stripped == current:
            return
        current = stripped


def _without_wrapper(name: str) -> str:
    """Return a name without its first word if that is a wrapper's."""
    return name.partition(".")[2] if name.startswith(WRAPPERS) else name


def common_wrapper(names: Iterable[str]) -> str:
    """Return the wrapper prefix, such as ``module.model.``, that all (clean) names begin with."""
    names, prefix = list(names), ""
    while True:
        longer = [prefix + w for w in WRAPPERS if all(n.startswith(prefix + w) for n in names)]
        if not names or not longer:
            return prefix
        prefix = longer[0]


def prefixes(state: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Return the parts of a state dict, as (module path, tensors, parameters) in the file's order.

    The parts are the first words of the names, wrapper prefixes apart. What looks like a statistic
    of BatchNorm is a tensor and no parameter.
    """
    wrapper = common_wrapper(map(clean, state))
    parts: dict[str, tuple[int, int]] = {}
    for name, value in state.items():
        first = clean(name).removeprefix(wrapper).partition(".")[0]
        tensors, parameters = parts.get(first, (0, 0))
        parts[first] = (tensors + 1, parameters + parameter_count(name, value))
    return [(part, *counts) for part, counts in parts.items()]


def parameter_count(name: str, value: Any) -> int:
    """Return how many parameters an entry of a state dict holds, as far as its name tells."""
    if not isinstance(value, Tensor) or name.endswith(_STATISTICS):
        return 0
    return value.numel() if value.is_floating_point() else 0
