"""Checkpoints of one run, however a trainer names them."""

from pathlib import Path

import pytest
from sharpscope_cli.runs import by_run


@pytest.mark.parametrize(
    ("names", "runs"),
    [
        (
            ["a.epoch0010.pt", "a.epoch0002.pt", "a.pt", "b.pt"],
            {"a.pt": ["a.epoch0002.pt", "a.epoch0010.pt", "a.pt"], "b.pt": ["b.pt"]},
        ),
        (
            ["epoch=10-step=900.ckpt", "epoch=2-step=300.ckpt", "epoch=2-step=250.ckpt"],
            {
                "epoch.ckpt": [
                    "epoch=2-step=250.ckpt", "epoch=2-step=300.ckpt", "epoch=10-step=900.ckpt",
                ]
            },
        ),
        (
            ["net_step_500.pt", "net_step_60.pt", "checkpoint-9.pt"],
            {
                "net.pt": ["net_step_60.pt", "net_step_500.pt"],
                "checkpoint.pt": ["checkpoint-9.pt"],
            },
        ),
        (
            ["a/ep12.pt", "a/ep3.pt", "b/ep8.pt"],
            {"a/a.pt": ["a/ep3.pt", "a/ep12.pt"], "b/b.pt": ["b/ep8.pt"]},
        ),
        (["l-s1.pt", "l-s2.pt"], {"l-s1.pt": ["l-s1.pt"], "l-s2.pt": ["l-s2.pt"]}),
        (["x/a.ep1.pt", "y/a.ep1.pt"], {"x/a.pt": ["x/a.ep1.pt"], "y/a.pt": ["y/a.ep1.pt"]}),
    ],
)  # fmt: skip
def test_runs_and_their_order(names: list[str], runs: dict[str, list[str]]):
    found = by_run([Path(name) for name in names])
    assert {str(last): [str(path) for path in run] for last, run in found.items()} == runs
