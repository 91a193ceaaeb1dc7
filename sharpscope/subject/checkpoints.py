"""Read a checkpoint of any kind as one record, without running code from it."""

import hashlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from torch import Tensor, nn

from sharpscope.checks import nearest
from sharpscope.errors import CheckpointError, SpecError
from sharpscope.subject.containers import check_file, open_file
from sharpscope.subject.specs import SPEC_NAME

FORMAT = "sharpscope/checkpoint"
FORMAT_VERSION = 1

Kind: TypeAlias = Literal["sharpscope", "lightning", "torch", "safetensors"]
# Tensors by name, and whatever a module keeps under a name that ends with EXTRA.
State: TypeAlias = Mapping[str, Any]
EXTRA = "_extra_state"

# Entries that hold tensors by name and are never the model's.
_NOT_MODELS = ("optim", "sched", "lr_sched", "callbacks", "loops", "rng", "random", "scaler")
_DEPTH = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        path: The file.
        kind: Who wrote it.
        sha256: Hash of the file's bytes.
        states: Every mapping of names to tensors that may be a model's, by its key in the file;
            the key of the file's root is "".
        keys: Keys of the top level.
        recipe: How to rebuild the subject, in a checkpoint of ours.
        metrics: Metrics stored beside the weights, if any, as plain types.
        epoch: Epoch stored beside the weights, if any.
        history: What each epoch left, in a checkpoint that a run of ours ended with.
        unpickled: Whether code from the file was run to read it, which needs ``trust``.
    """

    path: Path
    kind: Kind
    sha256: str
    states: Mapping[str, State] = field(repr=False)
    keys: tuple[str, ...] = ()
    recipe: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None
    epoch: int | None = None
    history: tuple[Mapping[str, Any], ...] | None = None
    unpickled: bool = False

    def state(self, key: str | None = None, *, spec: str | Path = SPEC_NAME) -> State:
        """Return the state dict under ``key``, or the only one that there is.

        Args:
            key: Where it lies in the file.
            spec: The spec that chooses, for messages.

        Raises:
            SpecError: If there is none under that key, or several and no key.
        """
        there = ", ".join(f"{name!r} ({len(state)} tensors)" for name, state in self.states.items())
        if key is not None and key not in self.states:
            if list(self.states) == [""]:
                raise SpecError(
                    f"{self.path} has its state dict at the root and nothing under {key!r}: "
                    f"delete the line with state from [model] of {spec}"
                )
            hint = nearest(key, self.states)
            raise SpecError(
                f"{self.path} has no state dict under {key!r}, the state of [model] in {spec}"
                f"{hint}; there are {there}"
            )
        if key is None and len(self.states) > 1:
            raise SpecError(
                f"{self.path} holds several state dicts, {there}: choose one with "
                f'state = "{next(iter(self.states))}" in [model] of {spec}'
            )
        return self.states[next(iter(self.states)) if key is None else key]


def read_checkpoint(
    path: str | Path, *, trust: bool = False, code: str | Path | None = None
) -> Checkpoint:
    """Return what the checkpoint at ``path`` holds.

    Reads checkpoints of sharpscope, state dicts saved with ``torch.save`` (at the root or under a
    key), Lightning checkpoints and safetensors.

    Args:
        path: The file.
        trust: Unpickle a file that holds more than tensors and plain containers. This runs
            whatever code its author chose; a whole pickled module is accepted then.
        code: Folder in which an unpickled file's modules are looked for first; by default the
            working folder.

    Raises:
        MisuseError: If there is no such file, or it is a folder.
        CheckpointError: If it cannot be read as a checkpoint.
    """
    path = Path(path)
    check_file(path)
    root, container, unpickled = open_file(path, trust=trust, code=Path(code or ".").resolve())
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    top = cast(Mapping[Any, Any], root if isinstance(root, Mapping) else {})
    ours = top.get("format") == FORMAT
    if ours:
        _check_ours(path, top)
    kind: Kind = "torch"
    if container == "safetensors":
        kind = "safetensors"
    elif ours:
        kind = "sharpscope"
    elif "pytorch-lightning_version" in top:
        kind = "lightning"
    states = dict(_states(root, ""))
    if kind in ("sharpscope", "lightning") and "state_dict" in states:
        states = {"state_dict": states["state_dict"]}
    if not states:
        raise CheckpointError(
            f"{path} holds no tensors by name: it is {_described(root)}; save model.state_dict()"
        )
    epoch, metrics = top.get("epoch"), top.get("metrics")
    return Checkpoint(
        path=path,
        kind=kind,
        sha256=sha256,
        states=states,
        keys=tuple(str(key) for key in top),
        recipe=top["recipe"] if ours else None,
        metrics=_plain(metrics) if isinstance(metrics, Mapping) else None,
        epoch=epoch if isinstance(epoch, int) else None,
        history=_history(top.get("history")) if ours else None,
        unpickled=unpickled,
    )


def _check_ours(path: Path, top: Mapping[Any, Any]) -> None:
    version = top.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise CheckpointError(
            f"{path} says it is a sharpscope checkpoint, but its format_version is {version!r}"
        )
    if version > FORMAT_VERSION:
        writer = top.get("sharpscope_version", "unknown")
        raise CheckpointError(
            f"{path} has checkpoint format {version}, written by sharpscope {writer}, and this "
            f"one reads up to {FORMAT_VERSION}: install a newer sharpscope"
        )
    if not isinstance(top.get("recipe"), Mapping):
        raise CheckpointError(
            f"{path} says it is a sharpscope checkpoint, but holds no recipe to rebuild it by"
        )


def _states(value: Any, key: str) -> Generator[tuple[str, State]]:
    """Yield every mapping that may be a model's state dict, by its dotted key."""
    if isinstance(value, nn.Module):  # only a trusted pickle holds one
        yield key, value.state_dict()
        return
    if not isinstance(value, Mapping):
        return
    entries = cast(Mapping[Any, Any], value)
    if _is_state(entries):
        yield key, entries
        return
    found: list[tuple[str, State]] = []
    if key.count(".") < _DEPTH - 1:
        for name, entry in entries.items():
            if isinstance(name, str) and not name.lower().startswith(_NOT_MODELS):
                found += _states(entry, f"{key}.{name}" if key else name)
    # A root of tensors with an epoch among them.
    loose = {name: entry for name, entry in entries.items() if isinstance(entry, Tensor)}
    yield from found or ([(key, loose)] if not key and _is_state(loose) else [])


def _is_state(entries: Mapping[Any, Any]) -> bool:
    """Whether all entries are tensors by name and one of them could be a weight."""
    return all(
        isinstance(name, str) and (isinstance(entry, Tensor) or name.endswith(EXTRA))
        for name, entry in entries.items()
    ) and any(
        isinstance(entry, Tensor)
        and entry.ndim > 0
        and (entry.is_floating_point() or entry.is_complex())
        for entry in entries.values()
    )


def _history(value: Any) -> tuple[Mapping[str, Any], ...] | None:
    """Return the epochs of a run as plain types; None where the file holds none."""
    epochs = _plain(value) if isinstance(value, list | tuple) else []
    whole = all(isinstance(entry, dict) and {"epoch", "seconds"} <= set(entry) for entry in epochs)
    return tuple(epochs) if epochs and whole else None


def _described(root: Any) -> str:
    if isinstance(root, Mapping):
        keys = ", ".join(repr(key) for key in list(cast(Mapping[Any, Any], root))[:8])
        return f"a mapping with the keys {keys}" if keys else "an empty mapping"
    return f"a {type(root).__name__}"


def _plain(value: Any) -> Any:
    """Return ``value`` as types that JSON has; numbers in tensors as numbers, the rest as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in cast(list[Any], value)]
    if isinstance(value, Tensor):
        return value.tolist()
    return value if isinstance(value, str | int | float | None) else str(value)
