"""The contents of a checkpoint as text for people."""

from collections.abc import Mapping
from typing import Any

from sharpscope_cli.contents import Contents, Part
from sharpscope_cli.output import emit_command, emit_facts, emit_lines, emit_table

KINDS = {"sharpscope": "sharpscope checkpoint", "torch": "torch.save", "lightning": "Lightning"}


def show_model(found: Contents, *, parameters: bool, quiet: bool) -> None:
    """Print a rebuilt model: where it comes from, who owns what, and how good it was."""
    emit_facts(found.checkpoint, [("kind", KINDS.get(found.kind, found.kind)), *_source(found)])
    emit_lines()
    total = sum(part.parameters for part in found.parts)
    rows = [
        [
            part.name,
            f"{part.parameters:,}",
            f"{part.frozen:,}" if part.frozen else "",
            f"{part.parameters / total:.0%}" if total else "",
            _modules(part),
        ]
        for part in found.parts
    ]
    rows.append(["all", f"{total:,}", _frozen(found), "", ""])
    emit_table(
        [
            ("owner", "left"),
            ("parameters", "right"),
            ("frozen", "right"),
            ("share", "right"),
            ("modules", "left"),
        ],
        rows,
    )
    if parameters:
        _list(found)
    if found.metrics:
        emit_lines()
        show_metrics(found.metrics)
    notes = [f"Note: {note}" for note in found.notes]
    if quiet:
        return
    if notes:
        emit_lines(["", *notes])
    named = [part.name for part in found.parts if part.modules and part.name != "shared"]
    if named:
        emit_lines()
        emit_command("Next:  ", f"sharpscope trace {found.checkpoint} --modality {named[-1]}")


def show_file(found: Contents, *, parameters: bool, quiet: bool) -> None:
    """Print what is in a foreign file, and what to do next."""
    tensors = sum(found.states.values())
    facts = [("kind", KINDS.get(found.kind, found.kind)), ("tensors", f"{tensors:,}")]
    keys = [f"{key!r} ({count} tensors)" for key, count in found.states.items() if key]
    if keys:
        facts.append(("state under", ", ".join(keys)))
    if found.epoch is not None:
        facts.append(("epoch", str(found.epoch)))
    emit_facts(found.checkpoint, facts)
    emit_lines()
    emit_table(
        [("prefix", "left"), ("parameters", "right"), ("tensors", "right")],
        [[part.name, f"{part.parameters:,}", f"{part.tensors:,}"] for part in found.parts],
    )
    if parameters:
        _list(found)
    if quiet:
        return
    emit_lines(["", "Nothing says yet how to rebuild this model and its data."])
    if found.beside is not None:
        emit_lines(
            [
                f"{found.beside} is not used, since a downloaded folder must not run code; if you "
                f"trust it: --spec {found.beside}"
            ]
        )
    emit_command("Next:  ", f"sharpscope init {found.checkpoint}")


def show_metrics(metrics: Mapping[str, Any]) -> None:
    """Print metrics: a table where they come by split and output, names and values elsewhere."""
    if not all(_by_output(outputs) for outputs in metrics.values()):
        emit_facts("metrics", [(name, _text(value)) for name, value in metrics.items()])
        return
    rows = [
        (split, output, scores)
        for split, outputs in metrics.items()
        for output, scores in outputs.items()
    ]
    named = {
        name: None
        for _, _, scores in rows
        for name, value in scores.items()
        if isinstance(value, int | float)
    }
    emit_table(
        [("split", "left"), ("output", "left"), *((name, "right") for name in named)],  # pyright: ignore[reportArgumentType]
        [[split, output, *(_text(scores.get(n)) for n in named)] for split, output, scores in rows],
    )


def _source(found: Contents) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if found.recipe is not None:
        recipe = found.recipe
        facts = [
            ("recipe", f"{recipe['dataset']}:{recipe['preset']}"),
            ("method", f"{recipe['method']}, {recipe['epochs']} epochs, seed {recipe['seed']}"),
            ("settings", ", ".join(f"{k}={v}" for k, v in recipe["settings"].items())),
        ]
    if found.spec is not None:
        facts.append(("spec", found.spec))
    if found.metric is not None:
        facts.append(("metric", found.metric))
    return facts


def _list(found: Contents) -> None:
    emit_lines()
    emit_table(
        [
            ("parameter", "left"),
            ("shape", "left"),
            ("parameters", "right"),
            ("owner", "left"),
            ("", "left"),
        ],
        [
            [
                entry.name,
                " × ".join(map(str, entry.shape)) or "scalar",
                f"{entry.parameters:,}",
                entry.owner or "",
                "frozen" if entry.frozen else "",
            ]
            for entry in found.entries
        ],
    )


def _modules(part: Part) -> str:
    first = ", ".join(part.modules[:4])
    more = len(part.modules) - 4
    return f"{first} and {more} more" if more > 0 else first


def _frozen(found: Contents) -> str:
    frozen = sum(part.frozen for part in found.parts)
    return f"{frozen:,}" if frozen else ""


def _by_output(outputs: Any) -> bool:
    return isinstance(outputs, Mapping) and all(
        isinstance(scores, Mapping) for scores in outputs.values()
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
