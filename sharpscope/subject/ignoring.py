"""Leave tensors of a file out, by the patterns of a spec, and propose such patterns."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sharpscope.checks import nearest
from sharpscope.errors import SpecError
from sharpscope.subject.owners import clean, matches
from sharpscope.subject.wrappers import common_wrapper


def ignored(
    state: Mapping[str, Any],
    patterns: Sequence[str],
    *,
    prefix: str = "",
    source: str = "the checkpoint",
    spec: str | Path | None = None,
) -> tuple[str, ...]:
    """Return the names in a file that module paths or globs mean.

    A pattern may name a tensor as it stands in the file, or without the wrapper prefix that all
    names have, or without the prefix that the spec takes the model from.

    Args:
        state: The checkpoint's tensors by name.
        patterns: Module paths or globs.
        prefix: Prefix of the model's tensors, with its full stop.
        source: What to call the checkpoint in messages.
        spec: The spec that holds the patterns.

    Raises:
        SpecError: If a pattern matches nothing.
    """
    wrapper = common_wrapper(map(clean, state))
    readings = {
        name: {clean(name), *(clean(name).removeprefix(start) for start in (wrapper, prefix))}
        for name in state
    }
    found: dict[str, None] = {}
    for pattern in patterns:
        meant = [
            name for name, several in readings.items() if any(matches(n, pattern) for n in several)
        ]
        if not meant:
            known = {path for name in state for path in _paths(clean(name))}
            raise SpecError(
                f"{spec}: ignore pattern {pattern!r} matches no tensor of {source}"
                f"{nearest(pattern, known)}; correct or delete it in [model]"
            )
        found |= dict.fromkeys(meant)
    return tuple(name for name in state if name in found)


def ignore_line(unexpected: Iterable[str], needed: Collection[str]) -> str:
    """Return the line of TOML that ignores these tensors and none that is needed.

    Example:
        >>> ignore_line(["aux.0.weight", "aux.0.bias", "head.old"], ["head.weight"])
        'ignore = ["aux", "head.old"]'
    """
    taken = {path for name in needed for path in _paths(name)}
    patterns = dict.fromkeys(
        next((path for path in _paths(name) if path not in taken), name) for name in unexpected
    )
    return f"ignore = {json.dumps(list(patterns), ensure_ascii=False)}"


def _paths(name: str) -> list[str]:
    """Return the modules that hold a tensor, the outermost first, and its own name."""
    words = name.split(".")
    return [".".join(words[:length]) for length in range(1, len(words) + 1)]
