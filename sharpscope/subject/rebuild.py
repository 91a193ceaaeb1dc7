"""From a checkpoint file to a model, and on to a Subject."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sharpscope.checks import at_least
from sharpscope.errors import SpecError
from sharpscope.results.kept import kept
from sharpscope.subject.checkpoints import Checkpoint, read_checkpoint
from sharpscope.subject.choice import code_folder, resolve_spec
from sharpscope.subject.sources import RecipeSource, Source, SpecSource
from sharpscope.subject.specs import Spec, read_spec
from sharpscope.subject.states import load_state
from sharpscope.subject.subject import Subject


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model rebuilt from a checkpoint, its weights loaded.

    Attributes:
        model: The model, its training flags as its factory left them.
        encoders: Module paths or globs of each modality; empty where a spec names none.
        checkpoint: What the file holds, its metrics included.
        source: The recipe or the spec that it was rebuilt from.
        provenance: Facts for every result, as plain types.
        notes: Sentences for the reader.
    """

    model: nn.Module
    encoders: Mapping[str, Any]
    checkpoint: Checkpoint
    source: Source
    provenance: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def load_model(
    path: str | Path, spec: str | Path | Spec | None = None, *, trust: bool = False
) -> LoadedModel:
    """Rebuild the model of a checkpoint and load its weights; a spec's data stay untouched.

    Args:
        path: The checkpoint.
        spec: A ``sharpscope.toml``; without it the recipe in the file is used, then a
            ``sharpscope.toml`` in the working folder.
        trust: Unpickle a checkpoint that needs code. This runs whatever its author chose; its
            modules are looked for in the spec's folder first, or in the working folder.

    Raises:
        MisuseError: If a file is not there.
        CheckpointError: If the checkpoint cannot be read or does not fit the model.
        SpecError: If nothing says how to rebuild it, or the spec is wrong.
        FactoryError: If a function that the spec names fails.
    """
    if isinstance(spec, str | Path):
        spec = read_spec(spec)  # a wrong one is refused before a file is unpickled
    checkpoint = read_checkpoint(path, trust=trust, code=code_folder(spec))
    chosen = resolve_spec(checkpoint, spec)
    source: Source
    if chosen is None:
        source = RecipeSource.of(checkpoint.recipe or {})
        model, tensors = source.model(), checkpoint.state()
        notes = load_state(model, tensors, source=str(checkpoint.path))
    else:
        source = SpecSource(chosen)
        tensors = checkpoint.state(chosen.state, spec=chosen.path)
        model = source.model()
        notes = load_state(
            model,
            tensors,
            prefix=chosen.prefix,
            ignore=chosen.ignore,
            source=str(checkpoint.path),
            spec=chosen.path,
        )
    if checkpoint.unpickled:
        notes = (*notes, "The checkpoint was trusted: its pickle was run.")
    epoch = kept(checkpoint.path).epoch if checkpoint.epoch is None else None
    if epoch is not None:
        notes = (*notes, f"The file stores no epoch: {epoch} is from its name.")
    facts: dict[str, Any] = {
        "checkpoint": str(checkpoint.path),
        "checkpoint_sha256": checkpoint.sha256,
        "checkpoint_kind": checkpoint.kind,
        "epoch": checkpoint.epoch if epoch is None else epoch,
        "metrics": checkpoint.metrics,
        **source.facts(),
        "notes": list(notes),
    }
    facts = {key: value for key, value in facts.items() if value is not None}
    return LoadedModel(
        model=model,
        encoders=source.encoders(),
        checkpoint=checkpoint,
        source=source,
        provenance=facts,
        notes=notes,
    )


def load_subject(
    path: str | Path,
    spec: str | Path | Spec | None = None,
    *,
    split: str | None = None,
    samples: int | None = None,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    replay: bool = True,
    memory: int | None = None,
    trust: bool = False,
) -> Subject:
    """Rebuild what a checkpoint was trained on and put it under the scope.

    Args:
        path: The checkpoint.
        spec: As for ``load_model``.
        split: train, val or test; by default train, or the only one there is.
        samples: Measure on the first so many items only.
        batch_size: Items per batch. A spec's data function must take it as ``batch_size``.
        device: Where to measure; by default where the model is.
        dtype: ``float32`` or ``float64``; by default the model's own.
        replay: As for ``Subject``.
        memory: As for ``Subject``.
        trust: As for ``load_model``.

    Returns:
        The subject, with the checkpoint's hash and the way it was rebuilt in its provenance.

    Raises:
        MisuseError: If a file is not there, or an argument cannot be meant.
        CheckpointError: If the checkpoint cannot be read or does not fit the model.
        SpecError: If nothing says how to rebuild it, or the spec is wrong or lacks something.
        FactoryError: If a function that the spec names fails.

    Example:
        >>> subject = load_subject("runs/ehr-cxr.pt", split="test")  # doctest: +SKIP
    """
    if batch_size is not None:
        at_least("batch_size", batch_size, 1)
    loaded = load_model(path, spec, trust=trust)
    if not loaded.encoders:
        raise SpecError(
            f"{loaded.provenance['spec']} names no encoders: add [encoders] with a line "
            'modality = "module path" for each'
        )
    losses = loaded.source.losses()
    asked = {
        "samples": samples,
        "batch_size": batch_size,
        "dtype": None if dtype is None else str(dtype),
    }
    name, batches = loaded.source.batches(split, batch_size)
    return Subject(
        loaded.model,
        batches,
        encoders=loaded.encoders,
        samples=samples,
        device=device,
        dtype=dtype,
        replay=replay,
        memory=memory,
        provenance={**loaded.provenance, "split": name, "asked": asked},
        **losses,
    )
