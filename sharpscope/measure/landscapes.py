"""Loss landscapes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sharpscope.landscape import Landscape, Source
from sharpscope.measure.making import made
from sharpscope.results import LandscapeResult
from sharpscope.subject import Subject


def landscape(
    subject: Subject,
    modality: str,
    *,
    shape: int | Sequence[int] = (51, 51),
    loss: str = "fusion",
    through: Sequence[Source] | Mapping[str, Sequence[Source]] = (),
    out: str | Path | None = None,
    watcher: Callable[[str], None] | None = None,
    **settings: Any,
) -> LandscapeResult:
    """Return the loss on a line, a plane or in a volume around one modality's encoder.

    Args:
        subject: What is under the scope.
        modality: A modality, several joined by ``+``, ``shared``, ``all`` or a glob.
        shape: Points along x, y and z, each odd.
        loss: ``fusion``, ``total`` or a modality.
        through: Other checkpoints, for ``axes="line"`` (one for a line, two for the plane through
            them) and ``axes="pca"`` (a run, or several by name): models, state dicts, subjects or
            paths.
        out: Where the result will be written: an interrupted landscape goes on with the points
            that are kept beside it.
        watcher: Called with what is being done.
        settings: Settings of ``Landscape``: ``axes``, ``normalize``, ``orthogonal``, ``span``,
            ``statistics``, ``metric``, ``engine``, ``keep_directions``, ``max_seconds`` and
            ``seed``.

    Raises:
        MisuseError: If a setting is not allowed, or nothing can move.
        CheckpointError: If another checkpoint does not fit the model.
        SubjectError: If the subject cannot be measured.

    Example:
        >>> import torch, sharpscope as ss
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> data = [(torch.eye(2).double(), torch.zeros(2, 1).double())]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> found = ss.landscape(subject, "x", shape=(3, 5))
        >>> found.values.shape, float(found.values[2, 1])
        ((5, 3), 1.0)
    """
    estimator = made(Landscape, {"shape": shape, **settings}, "of a landscape")
    return estimator(subject, modality, loss=loss, through=through, out=out, watcher=watcher)
