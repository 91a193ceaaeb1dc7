"""``sharpscope train``: train a recipe and save a checkpoint that carries it."""

from pathlib import Path

import click

from sharpscope_cli.options import DEVICE, SEED, everywhere, out
from sharpscope_cli.params import POSITIVE, Assignment, Registered, count


@click.command(
    "train",
    epilog="\b\nExamples:\n  sharpscope train avdigits:hard --method late\n"
    "  sharpscope train emoji --method masam --set rho=0.3 --seed 42\n"
    "  sharpscope train emoji:image+en+de --set lr=0.001 --epochs 5 --out runs/emoji.pt",
)
@click.argument("recipe")
@click.option(
    "--method",
    type=Registered("sharpscope.recipes:METHODS"),
    default="joint",
    metavar="NAME",
    help="joint (the fusion loss alone), late (with unimodal losses), sam, asam, msam, masam.",
)
@click.option(
    "--set",
    "settings",
    type=Assignment(),
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the model, the optimizer or the method; may be repeated.",
)
@click.option(
    "--epochs", type=count(1), metavar="N", help="Passes over the data.  [default: the recipe's]"
)
@click.option(
    "--resume", is_flag=True, help="Go on with a run that was interrupted, as if it had not been."
)
@click.option(
    "--keep-every",
    type=count(1),
    metavar="N",
    help="Keep a checkpoint after every N epochs, as OUT.epoch0010.pt.  [default: none]",
)
@click.option(
    "--monitor",
    is_flag=True,
    help="Measure the flatness of each encoder on the way, into OUT.monitor.jsonl; sharpscope "
    "watch shows it.",
)
@click.option(
    "--when",
    metavar="WHEN",
    help="With --monitor: auto (as often as stays under --budget), a number of steps, epoch, "
    "epoch:N, log or log:FACTOR.  [default: auto]",
)
@click.option(
    "--budget",
    type=POSITIVE,
    metavar="X",
    help="With --monitor: share of the training time that measuring may take.  [default: 0.05]",
)
@SEED
@DEVICE
@out("The checkpoint to write.  [default: runs/RECIPE-METHOD.pt]")
@everywhere
def command(
    recipe: str,
    method: str,
    settings: tuple[tuple[str, str], ...],
    epochs: int | None,
    resume: bool,
    keep_every: int | None,
    monitor: bool,
    when: str | None,
    budget: float | None,
    seed: int,
    device: str,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a recipe and save a checkpoint that carries it.

    RECIPE is NAME[:PRESET]: avdigits (clean, imbalanced, hard, image-dominant), emoji (image+en,
    image+en+de), mfeat (any of its views, such as fou+zer+mor), or ehr-cxr (synthetic). The bare
    name is a good default.
    """
    from sharpscope.recipes import parse_recipe
    from sharpscope.training import check_writable, record_of, save_checkpoint, train
    from sharpscope_cli.output import emit_command, emit_json, emit_lines
    from sharpscope_cli.params import device_named
    from sharpscope_cli.progress import Line
    from sharpscope_cli.showing import show_metrics
    from sharpscope_cli.training import (
        EpochWatch,
        check_beside,
        drop_stale,
        schedule,
        watched,
        watching,
    )

    chosen = parse_recipe(recipe, method=method, settings=dict(settings), seed=seed, epochs=epochs)
    where = device_named(device)
    due = schedule(monitor, when, budget)
    path = check_writable(out or default_path(recipe, method))
    check_beside(path, chosen, goes_on=monitor and resume)
    with Line(quiet=quiet) as line:
        progress = EpochWatch(line, recipe)
        watch = watching(chosen, path, progress, due, resume=resume) if due else None
        trained = train(
            chosen,
            device=where,
            progress=progress,
            out=path,
            resume=resume,
            keep_every=keep_every,
            watch=watch,
        )
    save_checkpoint(path, trained)
    stale = drop_stale(path, chosen)
    if stale is not None and not quiet:
        click.echo(f"Removed {stale}: it was of another run than {path} is now", err=True)
    if as_json:
        emit_json(record_of(trained, path).to_dict())
        return
    show_metrics(trained.metrics)
    if not quiet:
        emit_lines(
            ["", f"Trained {len(trained.history)} epochs in {trained.seconds:.1f} s. Saved {path}"]
        )
        if watch is not None:
            emit_lines([f"Watched it in {watched(watch.record)}"])
            emit_command("Look:  ", f"sharpscope watch {path} --once")
        emit_command("Next:  ", f"sharpscope trace {path} --modality {chosen.modalities[-1]}")


def default_path(recipe: str, method: str) -> Path:
    """Return ``runs/RECIPE-METHOD.pt`` with characters that every file system takes."""
    safe = "".join(c if c.isalnum() or c in "-_+." else "-" for c in f"{recipe}-{method}")
    return Path("runs") / f"{safe}.pt"
