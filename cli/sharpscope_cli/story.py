"""The story that ``sharpscope demo`` tells: train, measure, compare."""

import shutil
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sharpscope.estimators import HutchPlusPlus, Krylov, TopEigenvalues
from sharpscope.landscape import Landscape
from sharpscope.operators import HessianOperator
from sharpscope.recipes import parse_recipe
from sharpscope.report import write_report
from sharpscope.results import EigenResult, LandscapeResult, TraceResult, check_writable, save_all
from sharpscope.results.record import significant
from sharpscope.results.trace import with_error
from sharpscope.subject.rebuild import load_subject
from sharpscope.training import save_checkpoint, train
from sharpscope_cli.chapters import CHAPTERS, Chapter
from sharpscope_cli.output import Column, emit_command, emit_groups, emit_lines
from sharpscope_cli.progress import Line, Watch
from sharpscope_cli.training import EpochWatch

# A landscape for each encoder measured: coarse and on part of the items, which takes seconds.
GRID, GRID_SAMPLES = (11, 11), 360
# Of trace and eigenvalues where they are quick; the command to type next has a better error.
LOOSE = 0.1


@dataclass(frozen=True, kw_only=True)
class Row:
    """One encoder of one model.

    Args:
        model: Name of the checkpoint.
        metrics: Of the model, by split and output.
        trace: Its Hessian trace.
        eigen: Its extreme eigenvalues.
        landscape: The loss around it; None of what is measured quickly.
    """

    model: str
    metrics: Mapping[str, Mapping[str, Any]]
    trace: TraceResult
    eigen: EigenResult
    landscape: LandscapeResult | None = None

    @property
    def seconds(self) -> float:
        """Seconds that measuring took."""
        return self.trace.seconds + self.eigen.seconds


@dataclass(kw_only=True)
class Story:
    """Trains and measures, and keeps what was found.

    Args:
        out_dir: Where checkpoints go.
        samples: Training items to measure on, at most; all where left out.
        seed: Of training and of probes.
        device: Where.
        line: Shows the progress.
        chapters: What to train.
        rows: What was measured.
        seconds: What it all took.
    """

    out_dir: Path
    samples: int | None
    seed: int
    device: str
    line: Line
    chapters: tuple[Chapter, ...] = field(default_factory=lambda: CHAPTERS)
    rows: list[Row] = field(default_factory=list[Row])
    seconds: float = 0.0

    def prepare(self) -> None:
        """Prove that every checkpoint and the report can be written."""
        for chapter in self.chapters:
            check_writable(self.path(chapter))
        check_writable(self.report)

    def run(self) -> None:
        """Train every model, then measure their encoders."""
        with one_thread():
            self._run()

    def _run(self) -> None:
        began = time.perf_counter()
        metrics: dict[str, Mapping[str, Mapping[str, Any]]] = {}
        for number, chapter in enumerate(self.chapters, start=1):
            what = f"train {number} of {len(self.chapters)}: {chapter.name}"
            self.line.stage(what)
            recipe = parse_recipe(
                chapter.recipe, method=chapter.method, seed=self.seed, epochs=chapter.epochs
            )
            trained = train(recipe, device=self.device, progress=EpochWatch(self.line, what))
            save_checkpoint(self.path(chapter), trained)
            metrics[chapter.name] = trained.metrics
        for chapter in self.chapters:
            self._measure(chapter, metrics[chapter.name])
        self.line.stage(f"report: {self.report}")
        self._save()
        write_report(self.report.parent)
        self.seconds = time.perf_counter() - began

    def path(self, chapter: Chapter) -> Path:
        """Return where the checkpoint of a chapter goes."""
        return self.out_dir / f"{chapter.name}.pt"

    @property
    def report(self) -> Path:
        """Where the report of the rows goes, beside the results that it is made from."""
        return self.out_dir / "report" / "report.html"

    def _save(self) -> None:
        kept: list[Path] = []
        for row in self.rows:
            for stem in ("trace", "eigen", "landscape"):
                if (result := getattr(row, stem)) is not None:
                    tagged = replace(result, tag=row.model)
                    kept += save_all([tagged], self.report.parent, stem, taken=kept)

    @property
    def next(self) -> str:
        """The sentence to type next."""
        last = self.chapters[-1]
        modality = parse_recipe(last.recipe).modalities[-1]
        return f"sharpscope trace {self.path(last)} --modality {modality}"

    def to_dict(self) -> dict[str, Any]:
        """Return the story under the schema ``sharpscope/demo``."""
        return {
            "schema": "sharpscope/demo",
            "version": version("sharpscope"),
            "rows": [
                {
                    "model": row.model,
                    "modality": row.trace.modality,
                    "parameters": row.trace.parameters,
                    "train_loss": row.metrics["train"]["fusion"]["loss"],
                    "train_accuracy": row.metrics["train"]["fusion"]["accuracy"],
                    "test_accuracy": row.metrics["test"]["fusion"]["accuracy"],
                    "trace": row.trace.to_dict(),
                    "eigen": row.eigen.to_dict(),
                    "seconds": row.seconds,
                }
                for row in self.rows
            ],
            "checkpoints": [str(self.path(chapter)) for chapter in self.chapters],
            "report": str(self.report),
            "samples": self.rows[0].trace.samples,
            "seconds": self.seconds,
            "next": self.next,
        }

    def _measure(self, chapter: Chapter, metrics: Mapping[str, Mapping[str, Any]]) -> None:
        subject = load_subject(self.path(chapter), samples=self.samples, device=self.device)
        extremes, trace = TopEigenvalues(seed=self.seed), HutchPlusPlus(seed=self.seed)
        if chapter.quick:
            extremes, trace = replace(extremes, rtol=LOOSE), replace(trace, rtol=LOOSE)
        for modality in subject.owners.modalities:
            what = f"measure {chapter.name}, {modality}"
            self.line.stage(what)
            operator = HessianOperator(subject, modality)
            with operator.session():  # one basis for both
                krylov = Krylov(operator, self.seed)
                watcher = Watch(self.line, f"{what}: eigenvalues", bound=True)
                ends = extremes(operator, watcher=watcher, krylov=krylov)
                watcher = Watch(self.line, f"{what}: trace")
                found = trace(operator, watcher=watcher, krylov=krylov)
            plane = None if chapter.quick else self._around(chapter, modality, what)
            row = Row(model=chapter.name, metrics=metrics, trace=found, eigen=ends, landscape=plane)
            self.rows.append(row)

    def _around(self, chapter: Chapter, modality: str, what: str) -> LandscapeResult:
        few = GRID_SAMPLES if self.samples is None else min(self.samples, GRID_SAMPLES)
        part = load_subject(self.path(chapter), samples=few, device=self.device)
        watcher = Watch(self.line, f"{what}: landscape")
        return Landscape(shape=GRID, seed=self.seed)(part, modality, watcher=watcher.tell)


@contextmanager
def one_thread() -> Generator[None]:
    """Compute in one thread inside the block.

    Models this small gain little from a second one, and where another process holds its core,
    waiting for it costs ten times the work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


COLUMNS: tuple[Column, ...] = (
    ("modality", "left"),
    ("params", "right"),
    ("train\nloss", "right"),
    ("train\nacc.", "right"),
    ("test\nacc.", "right"),
    ("trace ± error", "right"),
    ("trace /\nparam", "right"),
    ("λ_max", "right"),
    ("λ_min", "right"),
    ("sec", "right"),
)


def show_story(story: Story, *, quiet: bool) -> None:
    """Print the table, what its numbers mean, and the sentence to type next."""
    models = dict.fromkeys(row.model for row in story.rows)
    emit_groups(
        COLUMNS, {name: [cells(row) for row in story.rows if row.model == name] for name in models}
    )
    if quiet:
        return
    emit_lines(
        [
            "",
            "Loss and accuracy of the fused prediction, on all items. Trace and eigenvalues of the "
            f"Hessian of the fusion loss over {items(story.rows)}, with respect to that "
            "encoder's parameters, in loss per squared parameter unit: larger is sharper, a "
            "negative λ_min a saddle. ± is probe noise, not what other data would change.",
            *loosely(story),
            "",
            f"Done in {story.seconds:.0f} s. Checkpoints: "
            + ", ".join(str(story.path(chapter)) for chapter in story.chapters),
            "",
            f"The same as one page, with loss surfaces that turn: {story.report}",
            "",
            "Type next:",
        ]
    )
    if (first := activation()) is not None:
        emit_command("  ", first)
    emit_command("  ", story.next)


def items(rows: Sequence[Row]) -> str:
    """Return how many training items each model was measured on, in words."""
    models: dict[int, list[str]] = {}
    for row in rows:
        models.setdefault(row.trace.samples, []).append(row.model)
    if len(models) == 1:
        return f"{next(iter(models)):,} training items"
    told = (f"{n:,} of {' and '.join(dict.fromkeys(names))}" for n, names in models.items())
    return f"the training items ({', '.join(told)})"


def loosely(story: Story) -> list[str]:
    """Return a sentence on what was measured to a loose error, where something was."""
    names = [chapter.name for chapter in story.chapters if chapter.quick]
    if not names:
        return []
    return [
        f"{' and '.join(names)}: to within {LOOSE:.0%}, for time; the command below does better."
    ]


def activation() -> str | None:
    """Return what makes the command known to the shell, such as after ``make demo``, or None."""
    if shutil.which("sharpscope") is not None:
        return None
    script = Path(sys.prefix) / "bin" / "activate"
    here = script.is_relative_to(Path.cwd())
    return f"source {script.relative_to(Path.cwd()) if here else script}"


def cells(row: Row) -> list[str]:
    """Return one encoder's line of the table."""
    train, test = row.metrics["train"]["fusion"], row.metrics["test"]["fusion"]
    return [
        row.trace.modality,
        f"{row.trace.parameters:,}",
        f"{train['loss']:.4f}",
        f"{train['accuracy']:.3f}",
        f"{test['accuracy']:.3f}",
        with_error(row.trace.value, row.trace.standard_error),
        significant(row.trace.normalized.get("per_parameter"), 2),
        row.eigen.shown(row.eigen.largest, 3),
        row.eigen.shown(row.eigen.smallest, 3),
        f"{row.seconds:.0f}",
    ]
