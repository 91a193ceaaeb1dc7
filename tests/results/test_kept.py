"""What the names of kept checkpoints tell."""

import pytest

from sharpscope.results.kept import kept


@pytest.mark.parametrize(
    ("name", "run", "number", "epoch"),
    [
        ("runs/late.epoch0010.pt", "late", (10, 0), 10),
        ("late.epoch0010", "late", (10, 0), 10),
        ("ep3.pt", "ep", (3, 0), 3),
        ("runs/a/ep3.pt", "a", (3, 0), 3),
        ("my.run-ep_3.pth", "my.run", (3, 0), 3),
        ("epoch=3-step=120.ckpt", "epoch", (3, 120), 3),
        ("net_step_500.pt", "net", (500, 0), None),
        ("checkpoint-9", "checkpoint", (9, 0), None),
        ("best.pt", "best", None, None),
        ("a.b", "a.b", None, None),
        ("a.b.safetensors", "a.b", None, None),
        ("sweep7.pt", "sweep7", None, None),  # no word, and no epoch, begins within another
        ("late-s1.pt", "late-s1", None, None),
    ],
)
def test_names(name: str, run: str, number: tuple[int, int] | None, epoch: int | None) -> None:
    assert kept(name) == (run, number, epoch)
