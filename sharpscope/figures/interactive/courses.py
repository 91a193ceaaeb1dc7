"""What the epochs of training runs recorded, over time."""

from collections.abc import Sequence

import plotly.graph_objects as go

from sharpscope.figures.interactive.house import DASHES, figure
from sharpscope.figures.style import COLORS
from sharpscope.figures.whose import runs_of
from sharpscope.results import RunRecord

_WHAT = {
    "dominant": "steps in which it dominates",
    "alignment": "alignment γ (cosine)",
    "shares": "Shapley share v_m",
    "scores": "discriminative score",
}


def courses(records: Sequence[RunRecord]) -> tuple[go.Figure, ...]:
    """Return the losses of runs, and a figure for each thing recorded of their modalities.

    A color is a modality and a kind of line a run; where there are no modalities, a color is a run.
    """
    names = runs_of(records)
    loss = figure("training loss", showlegend=len(records) > 1)
    for place, record in enumerate(records):
        loss.add_scatter(
            x=_epochs(record),
            y=[entry.get("loss") for entry in record.history],
            mode="lines",
            line={"color": COLORS[place % len(COLORS)], "dash": DASHES[place % len(DASHES)]},
            name=names[place],
            hovertemplate="epoch %{x}<br><b>%{y:.4g}</b>",
        )
    loss.update_xaxes(title="epoch")
    loss.update_yaxes(title="loss per item")
    others = [_course(records, names, what, label) for what, label in _WHAT.items()]
    return (loss, *(panel for panel in others if panel is not None))


def _course(
    records: Sequence[RunRecord], runs: Sequence[str], what: str, label: str
) -> go.Figure | None:
    names = list(dict.fromkeys(name for record in records for name in record.modalities))
    panel = figure(label)
    for place, record in enumerate(records):
        for name, values in record.course(what).items():
            run = f"{runs[place]} · " if len(records) > 1 else ""
            panel.add_scatter(
                x=_epochs(record),
                y=values,
                mode="lines",
                line={
                    "color": COLORS[names.index(name) % len(COLORS)],
                    "dash": DASHES[place % len(DASHES)],
                },
                name=f"{run}{name}",
                hovertemplate="epoch %{x}<br><b>%{y:.4g}</b>",
            )
    panel.update_xaxes(title="epoch")
    panel.update_yaxes(title=label)
    return panel if panel.data else None


def _epochs(record: RunRecord) -> list[int]:
    return [entry.get("epoch", place + 1) for place, entry in enumerate(record.history)]
