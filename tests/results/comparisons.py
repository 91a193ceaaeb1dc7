"""Two checkpoints side by side."""

from typing import Any

from sharpscope.results import Comparison
from sharpscope.results.comparison import Difference, Entry, Match, Verdict


def a_comparison(**changes: Any) -> Comparison:
    """Return two checkpoints, one encoder: the second is flatter."""
    about: dict[str, Any] = {"quantity": "trace", "modality": "cxr"}
    errors: dict[str, Any] = {"probe_error": 8.7, "data_error": 31.0, "train_loss": 0.5}
    own: dict[str, Any] = {
        "reference": "late",
        "names": ("late", "masam"),
        "grouped": False,
        "loss": "fusion",
        "split": "train",
        "samples": 12,
        "labels": {"trace": "trace"},
        "units": {"trace": "loss / parameter²"},
        "entries": (
            Entry(name="late", value=925.6, **about, **errors),
            Entry(name="masam", value=660.0, **about, **errors),
        ),
        "differences": (
            Difference(
                name="masam",
                reference="late",
                difference=-265.6,
                probe_error=6.0,
                data_error=34.5,
                error=35.0,
                interval=(-335.0, -196.0),
                ratio=0.713,
                ratio_interval=(0.65, 0.78),
                paired=("probes", "batches"),
                verdict=Verdict.DIFFERENT,
                **about,
            ),
        ),
        "matches": (Match(name="masam", run="masam", epochs=(2,), losses=(0.5,), weights=(1.0,)),),
        "notes": ("one",),
        "seconds": 12.34,
    }
    return Comparison(**(own | changes))
