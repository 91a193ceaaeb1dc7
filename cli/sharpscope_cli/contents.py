"""What a checkpoint holds, as a record: of a rebuilt model with owners, or of tensors by name."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from sharpscope.subject.checkpoints import Checkpoint
from sharpscope.subject.owners import SHARED, Owners, assign_owners
from sharpscope.subject.rebuild import load_model
from sharpscope.subject.specs import SPEC_NAME
from sharpscope.subject.wrappers import parameter_count, prefixes


@dataclass(frozen=True, kw_only=True)
class Part:
    """A modality, ``shared``, or a prefix of names in a file.

    Args:
        name: What it is called.
        parameters: Scalar parameters in it.
        frozen: Those that do not require a gradient.
        modules: Largest modules that belong to it whole, or single parameters.
        tensors: Tensors in it.
    """

    name: str
    parameters: int
    frozen: int = 0
    modules: tuple[str, ...] = ()
    tensors: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One parameter, or one tensor of a file; its owner where it is known."""

    name: str
    shape: tuple[int, ...]
    parameters: int
    owner: str | None = None
    frozen: bool = False


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a checkpoint holds.

    Args:
        checkpoint: The file.
        kind: Who wrote it.
        sha256: Hash of its bytes.
        states: Keys of the state dicts in it, and their tensors.
        parts: Owners of a rebuilt model; prefixes of a foreign file.
        entries: Its parameters.
        recipe: The recipe in the file.
        spec: The spec that rebuilt it.
        metric: The metric that the spec names.
        metrics: Metrics stored.
        epoch: Epoch stored.
        notes: Sentences for the reader.
        beside: A sharpscope.toml beside the file that is not used.
    """

    checkpoint: str
    kind: str
    sha256: str
    states: Mapping[str, int]
    parts: tuple[Part, ...]
    entries: tuple[Entry, ...]
    recipe: Mapping[str, Any] | None = None
    spec: str | None = None
    metric: str | None = None
    metrics: Mapping[str, Any] | None = None
    epoch: int | None = None
    notes: tuple[str, ...] = ()
    beside: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the record under the schema ``sharpscope/show``."""
        return {"schema": "sharpscope/show", "version": version("sharpscope")} | asdict(self)


def contents_of_model(read: Checkpoint, spec: Path | None, *, trust: bool) -> Contents:
    """Rebuild the model and return its parameters by owner.

    Raises:
        SharpscopeError: If it cannot be rebuilt.
    """
    loaded = load_model(read.path, spec, trust=trust)
    notes = loaded.notes
    where = loaded.provenance.get("spec")
    if loaded.encoders:
        owners = assign_owners(loaded.model, loaded.encoders, spec=where)
    else:
        parameters = dict(loaded.model.named_parameters())
        owners = Owners((), parameters, dict.fromkeys(parameters, SHARED))
        notes = (*notes, f"{where} names no encoders: add [encoders] to measure one.")
    entries = tuple(
        Entry(
            name=name,
            shape=tuple(parameter.shape),
            parameters=parameter.numel(),
            owner=owners.owner[name],
            frozen=not parameter.requires_grad,
        )
        for name, parameter in owners.parameters.items()
    )
    return Contents(
        **_file(read),
        parts=tuple(_part(name, entries) for name in (*owners.modalities, SHARED)),
        entries=entries,
        recipe=loaded.provenance.get("recipe"),
        spec=where,
        metric=loaded.provenance.get("metric"),
        notes=notes,
    )


def contents_of_file(read: Checkpoint) -> Contents:
    """Return the tensors of a file that nothing says how to rebuild, by the prefixes of names."""
    several = len(read.states) > 1
    parts: list[Part] = []
    entries: list[Entry] = []
    for key, state in read.states.items():
        before = f"{key}: " if several else ""
        parts += [
            Part(name=f"{before}{name}", tensors=tensors, parameters=parameters)
            for name, tensors, parameters in prefixes(state)
        ]
        entries += [
            Entry(
                name=f"{before}{name}",
                shape=tuple(value.shape),
                parameters=parameter_count(name, value),
            )
            for name, value in state.items()
            if isinstance(value, Tensor)
        ]
    beside = read.path.parent / SPEC_NAME
    return Contents(
        **_file(read),
        parts=tuple(parts),
        entries=tuple(entries),
        beside=str(beside) if beside.is_file() else None,
    )


def whole_modules(owner: str, entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the largest modules that an owner has whole; a parameter where it has a part only."""
    owners: dict[str, set[str | None]] = {}
    for entry in entries:
        for path in _paths(entry.name):
            owners.setdefault(path, set()).add(entry.owner)
    found: dict[str, None] = {}
    for entry in entries:
        if entry.owner == owner:
            found[next(path for path in _paths(entry.name) if owners[path] == {owner})] = None
    return tuple(found)


def _paths(name: str) -> list[str]:
    """Return the modules that hold a parameter, the outermost first, and its own name."""
    words = name.split(".")
    return [".".join(words[:length]) for length in range(1, len(words) + 1)]


def _part(owner: str, entries: tuple[Entry, ...]) -> Part:
    own = [entry for entry in entries if entry.owner == owner]
    return Part(
        name=owner,
        parameters=sum(entry.parameters for entry in own),
        frozen=sum(entry.parameters for entry in own if entry.frozen),
        modules=whole_modules(owner, entries),
        tensors=len(own),
    )


def _file(read: Checkpoint) -> dict[str, Any]:
    return {
        "checkpoint": str(read.path),
        "kind": read.kind,
        "sha256": read.sha256,
        "states": {key: len(state) for key, state in read.states.items()},
        "metrics": read.metrics,
        "epoch": read.epoch,
    }
