"""Write the ``sharpscope.toml`` that a foreign checkpoint needs, as far as the file tells it."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from sharpscope.errors import MisuseError
from sharpscope.results import write_whole
from sharpscope.subject.checkpoints import Checkpoint, State, read_checkpoint
from sharpscope.subject.guesses import guess_encoders, guess_prefix
from sharpscope.subject.owners import clean
from sharpscope.subject.specs import SPEC_NAME
from sharpscope.subject.wrappers import parameter_count, prefixes

# Where a file holds several state dicts, the model is mostly under one of these.
_USUAL = ("state_dict", "model_state_dict", "model", "net")

_HEAD = """\
# {name} — what sharpscope needs to measure {checkpoint}
#   ({kind}, {tensors} tensors, {parameters} parameters)
#
# Replace each "<...>" in a line marked "<- fill in", and look over the lines marked "<- check"; the
# rest may stay. "module:function" is a function of your own code: build in my_project/models.py is
# "my_project.models:build". Modules are looked for in the folder of this file first.
# Then:  sharpscope show {checkpoint}    and    sharpscope trace {checkpoint}
"""

_MODEL = """\
[model]
# Returns the model (a torch.nn.Module) as it was built for training; its weights are loaded here.
factory = "<module:function>"            # <- fill in
# Keyword arguments of that function, if it needs any:
# kwargs = {{ hidden = 256 }}
{state}
{prefix}
# Tensors in the file that the model does not have (a second head, a teacher), by module path or
# glob; they are not loaded:
# ignore = ["aux_head", "teacher.*"]
"""

_DATA = """\
[data]
# Returns batches in an order that never changes: a DataLoader with shuffle=False and without random
# augmentation, or a list. A batch is a tuple (*inputs, target), or a mapping with the target under
# "target", "label", "labels" or "y". One split is enough; with train, that one is measured first.
test = "<module:function>"               # <- fill in
# train = "my_project.data:train_loader"
# val = { factory = "my_project.data:loader", kwargs = { split = "val" } }
"""

_LOSS = """\
[loss]
# The loss it was trained with: cross_entropy (one class per item), bce_with_logits (several labels
# per item) or mse.
name = "<cross_entropy, bce_with_logits or mse>"    # <- fill in
# Any other: delete name and give a function without arguments that returns the loss, which is a
# torch loss or a callable(model, batch) with the batch's mean, or a pair (sum, weight):
# factory = "my_project.losses:build"
# How a batch becomes a call: "args" is model(*inputs), the way of tuples; "kwargs" is
# model(**inputs), the way of mappings; "whole" is model(inputs), the inputs as one object.
# call = "args"
# Key of the target in a mapping, where it has another name than those above:
# target = "diagnosis"

# Loss of each modality alone, for --loss NAME and --loss total; each function returns a
# callable(model, batch):
# [loss.unimodal]
# {modality} = "my_project.losses:{attribute}"

# How good predictions are called, accuracy or auprc; and, where the loss is a function of yours,
# the function (model, batch) that returns (logits, target), for what is measured on predictions:
# [metric]
# name = "accuracy"
# predict = "my_project.models:predict"
"""

_ENCODERS = """\
[encoders]
# On the left the name of a modality, yours to choose; on the right the parts of the model that
# embed it: a path of attributes as in model.named_parameters(), a glob such as "cxr.layer4.*", or a
# list of them. What no line names is "shared" (fusion, heads).
{lines}
# The parts of this file, with their parameters:
{parts}
"""


def draft_spec(checkpoint: Checkpoint) -> str:
    """Return a commented ``sharpscope.toml`` for ``checkpoint`` with the likely encoders filled in.

    What only the user can know is marked; until it is filled in, ``read_spec`` names the places.

    Example:
        >>> draft_spec(read_checkpoint("theirs.pt"))  # doctest: +SKIP
    """
    key, state = _model_state(checkpoint)
    encoders = guess_encoders(state)
    first = next(iter(encoders), "cxr")
    parameters = sum(parameter_count(name, value) for name, value in state.items())
    return "\n".join(
        [
            _HEAD.format(
                name=SPEC_NAME,
                checkpoint=_in_comment(checkpoint.path.name),
                kind={"torch": "torch.save"}.get(checkpoint.kind, checkpoint.kind),
                tensors=len(state),
                parameters=f"{parameters:,}",
            ),
            _MODEL.format(state=_state_line(checkpoint, key), prefix=_prefix_line(state)),
            _DATA,
            _LOSS.format(modality=toml_key(first), attribute=re.sub(r"\W", "_", first)),
            _ENCODERS.format(lines=_encoder_lines(encoders), parts=_part_lines(state)),
        ]
    )


def write_draft(
    checkpoint: str | Path, out: str | Path = SPEC_NAME, *, trust: bool = False
) -> Path:
    """Write the draft for a foreign checkpoint and return where it stands.

    Args:
        checkpoint: The file to look at.
        out: The file to write; never overwritten.
        trust: As for ``read_checkpoint``.

    Raises:
        MisuseError: If the checkpoint is not there or needs no spec, or ``out`` exists or cannot
            be written.
        CheckpointError: If the checkpoint cannot be read.
    """
    out = Path(out)
    if out.exists():
        raise MisuseError(
            f"{out} exists and is not overwritten: move it away, or name another file with --out"
        )
    read = read_checkpoint(checkpoint, trust=trust)
    if read.kind == "sharpscope":
        raise MisuseError(
            f"{read.path} carries its recipe and needs no {SPEC_NAME}: sharpscope show {read.path}"
        )
    content = draft_spec(read).encode(errors="replace")
    write_whole(out, lambda file: file.write(content))
    return out


def short_spec(checkpoint: Checkpoint) -> str:
    """Return the lines that a spec for ``checkpoint`` needs at least: six for two encoders."""
    key, state = _model_state(checkpoint)
    encoders = guess_encoders(state) or {"ehr": ["ehr_model"], "cxr": ["cxr_model"]}
    lines = ['model.factory = "my_project.models:build"']
    if len(checkpoint.states) > 1:
        lines.append(f"model.state = {_quoted(key)}")
    if prefix := guess_prefix(state):
        lines.append(f"model.prefix = {_quoted(prefix)}")
    lines.append('data.test = "my_project.data:test_loader"')
    lines.append('loss.name = "cross_entropy"')
    lines.append("[encoders]")
    lines += [f"{toml_key(name)} = {_paths(found)}" for name, found in encoders.items()]
    return "\n".join(lines)


def toml_key(name: str) -> str:
    """Return ``name`` as a key of TOML, quoted where it must be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _model_state(checkpoint: Checkpoint) -> tuple[str, State]:
    """Return the state dict that is most likely the model's, with its key."""
    usual = [key for key in _USUAL if key in checkpoint.states]
    key = (usual or list(checkpoint.states))[0]
    return key, checkpoint.states[key]


def _state_line(checkpoint: Checkpoint, key: str) -> str:
    if not key:
        return "# The file is the state dict itself: no key to name."
    others = [repr(other) for other in checkpoint.states if other != key]
    choice = f"there are also {', '.join(others)}   <- check" if others else "its only one"
    return f"# Key of the state dict in the file; {choice}:\nstate = {_quoted(key)}"


def _prefix_line(state: State) -> str:
    prefix = guess_prefix(state)
    if prefix:
        return f"# Only the tensors under this prefix are the model's:\nprefix = {_quoted(prefix)}"
    return (
        "# Prefixes such as module. and model. are stripped by themselves. Where tensors of other\n"
        '# things stand beside the model\'s, take only those under a prefix:\n# prefix = "net."'
    )


def _encoder_lines(encoders: dict[str, list[str]]) -> str:
    lines = [f"{toml_key(name)} = {_paths(found)}" for name, found in encoders.items()]
    if not lines:
        return '"<modality>" = "<module path>"           # <- fill in'
    width = max(map(len, lines))
    return "\n".join(f"{line:{width}}    # <- check" for line in lines)


def _part_lines(state: State) -> str:
    prefix = guess_prefix(state) or ""
    inside = {name: value for name, value in state.items() if clean(name).startswith(prefix)}
    parts = [(_in_comment(part), parameters) for part, _, parameters in prefixes(inside)]
    return "\n".join(f"#   {part}  {parameters:,}" for part, parameters in parts)


def _paths(found: Iterable[str]) -> str:
    quoted = [_quoted(path) for path in found]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


def _in_comment(text: str) -> str:
    """Return text that cannot leave its comment: names in a file are its author's to choose."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _quoted(text: str) -> str:
    """Return text as a TOML string, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
