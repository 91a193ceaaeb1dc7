"""Choose what rebuilds a checkpoint: a spec that was named, its recipe, or the folder's spec."""

from pathlib import Path

from sharpscope.errors import SpecError
from sharpscope.subject.checkpoints import Checkpoint
from sharpscope.subject.drafts import short_spec
from sharpscope.subject.specs import SPEC_NAME, Spec, read_spec


def code_folder(spec: str | Path | Spec | None = None) -> Path:
    """Return the folder of the user's own code: that of the spec named, else the working folder."""
    path = spec.path if isinstance(spec, Spec) else Path(SPEC_NAME if spec is None else spec)
    return path.resolve().parent


def resolve_spec(
    checkpoint: Checkpoint,
    spec: str | Path | Spec | None = None,
    *,
    folder: str | Path | None = None,
) -> Spec | None:
    """Return the spec to rebuild ``checkpoint`` by, or None where its own recipe does.

    A spec that is named wins over a recipe in the file, which wins over a ``sharpscope.toml`` in
    the working folder. One that merely lies beside the checkpoint is never used: a downloaded
    folder must not run code.

    Args:
        checkpoint: What was read.
        spec: The spec that was named, if any.
        folder: The working folder; the process's own by default.

    Raises:
        SpecError: If there is none of them, with the lines to write.
    """
    if isinstance(spec, Spec):
        return spec
    if spec is not None:
        return read_spec(spec)
    if checkpoint.recipe is not None:
        return None
    here = Path(SPEC_NAME) if folder is None else Path(folder) / SPEC_NAME
    if here.is_file():
        return read_spec(here)
    beside = checkpoint.path.parent / SPEC_NAME
    warning = (
        f"\n({beside} is not used, since a downloaded folder must not run code; if you trust it: "
        f"--spec {beside})"
        if beside.is_file()
        else ""
    )
    raise SpecError(
        f"{checkpoint.path} does not say how to rebuild its model and data: write these lines into "
        f"{here}, with your own names (sharpscope init {checkpoint.path} drafts it, with "
        f"comments):\n\n{short_spec(checkpoint)}\n{warning}".rstrip()
    )
