"""Who owns which parameter: every one belongs to exactly one encoder, or is shared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn import Parameter

from sharpscope.checks import nearest
from sharpscope.errors import MisuseError, SpecError

SHARED = "shared"
ALL = "all"
# Names with a meaning of their own, as a Selection or as a loss.
RESERVED = (ALL, SHARED, "fusion", "total")


@dataclass(frozen=True)
class Owners:
    """The modality map of a model.

    Attributes:
        modalities: Names of the encoders, in the order given.
        parameters: Every floating-point parameter once, by its (first) name.
        owner: Owner of each parameter: a modality or ``shared``.
    """

    modalities: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    owner: Mapping[str, str]

    def of(self, owner: str) -> dict[str, Parameter]:
        """Return the parameters that ``owner`` owns, by name."""
        return {name: p for name, p in self.parameters.items() if self.owner[name] == owner}


def clean(name: str) -> str:
    """Return a parameter's name without what ``torch.compile`` adds to it."""
    return name.replace("_orig_mod.", "")


def assign_owners(
    model: nn.Module, encoders: Mapping[str, Any], *, spec: str | Path | None = None
) -> Owners:
    """Return who owns each parameter of ``model``.

    Args:
        model: The whole model.
        encoders: For each modality a module path (``"ehr_model"``), a glob (``"cxr.layer4.*"``),
            a module or a parameter of the model, or a list of these.
        spec: The file that the encoders come from, if any.

    Raises:
        MisuseError: If there is no encoder, a name is reserved, a pattern matches nothing or a
            parameter is claimed twice.
        SpecError: The same, where the encoders come from a spec.
    """
    try:
        return _assigned(model, encoders)
    except MisuseError as error:
        if spec is None:
            raise
        raise SpecError(f"{spec}: {error}") from error


def _assigned(model: nn.Module, encoders: Mapping[str, Any]) -> Owners:
    names = _names(model)
    if not isinstance(encoders, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MisuseError(
            "encoders must map each modality to a part of the model, such as "
            f"{{'ehr': 'ehr_model'}}; got {type(encoders).__name__}"
        )
    if not encoders:
        raise MisuseError("encoders must name at least one modality; got none")
    claims: dict[int, tuple[str, str]] = {}
    for modality, patterns in encoders.items():
        if modality in RESERVED:
            raise MisuseError(
                f"an encoder cannot be called {modality!r}, a word with a meaning of its own "
                f"({', '.join(RESERVED)}); rename it"
            )
        if not _listed(patterns):
            raise MisuseError(f"the encoder of {modality!r} is an empty list: name its modules")
        for pattern in _listed(patterns):
            for name, parameter in _matches(model, names, modality, pattern):
                earlier = claims.setdefault(id(parameter), (modality, name))
                if earlier[0] != modality:
                    tied = "" if earlier[1] == name else f" (tied to {earlier[1]!r})"
                    raise MisuseError(
                        f"parameter {name!r}{tied} is owned twice, by {earlier[0]!r} and by "
                        f"{modality!r}: give it to one of them, or to neither and it is shared"
                    )
    firsts: dict[int, tuple[str, Parameter]] = {}
    for name, parameter in names:
        firsts.setdefault(id(parameter), (name, parameter))
    parameters = {name: p for name, p in firsts.values() if p.is_floating_point()}
    owner = {name: claims.get(id(p), (SHARED, ""))[0] for name, p in parameters.items()}
    return Owners(tuple(encoders), parameters, owner)


def _names(model: nn.Module) -> list[tuple[str, Parameter]]:
    """Return all names of all parameters, so that a tied one is found by either of its names."""
    return [(clean(name), p) for name, p in model.named_parameters(remove_duplicate=False)]


def _listed(patterns: Any) -> Sequence[Any]:
    return list(patterns) if isinstance(patterns, list | tuple) else [patterns]


def _matches(
    model: nn.Module, names: Iterable[tuple[str, Parameter]], modality: str, pattern: Any
) -> list[tuple[str, Parameter]]:
    if isinstance(pattern, str):
        found = [(name, p) for name, p in names if matches(name, pattern)]
        what = f"encoder pattern {pattern!r}"
    elif isinstance(pattern, nn.Module | Parameter):
        own = {
            id(p) for p in ([pattern] if isinstance(pattern, Parameter) else pattern.parameters())
        }
        found = [(name, p) for name, p in names if id(p) in own]
        what = f"the {type(pattern).__name__} given"
    else:
        raise MisuseError(
            f"the encoder of {modality!r} must be a module path, a glob, a module, a parameter or "
            f"a list of these; got {type(pattern).__name__}"
        )
    if not found:
        if _is_empty(model, pattern):
            raise MisuseError(
                f"{what} of {modality!r} is a module without parameters, and so without curvature: "
                "leave it out"
            )
        prefixes = _prefixes(model)
        hint = nearest(pattern, prefixes) if isinstance(pattern, str) else ""
        raise MisuseError(
            f"{what} of {modality!r} matches no parameter{hint}; the model's top-level parts are "
            f"{', '.join(name for name in prefixes if '.' not in name) or 'unnamed'}"
        )
    return found


def matches(name: str, pattern: str) -> bool:
    """Whether a parameter's name lies under a module path or fits a glob."""
    pattern = clean(pattern)
    return name == pattern or name.startswith(pattern + ".") or fnmatchcase(name, pattern)


def _is_empty(model: nn.Module, pattern: Any) -> bool:
    """Whether a pattern that matches no parameter is a module of the model all the same."""
    return any(
        module is pattern or (isinstance(pattern, str) and clean(name) == clean(pattern))
        for name, module in model.named_modules()
        if name
    )


def _prefixes(model: nn.Module) -> list[str]:
    return [
        clean(name)
        for name, module in model.named_modules()
        if name and any(True for _ in module.parameters())
    ]
