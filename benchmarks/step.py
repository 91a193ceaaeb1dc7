"""Seconds of a training step: late fusion, SAM, M-SAM, MASAM, and MASAM of the official shape.

    .venv/bin/python -m benchmarks.step

On the two encoders of benchmarks.trace (EHR transformer, CXR residual network, batches of 48). The
official shape is what the public code of MASAM costs: two forward and M + 3 backward passes of
everything, and loops over tensors that wait for each of their numbers. All sides take the same
batches in turn, in one process with one thread; what is to be quoted are ratios of CPU seconds.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.workload import Clinical, clinical_batches
from sharpscope.optim import MASAM, MSAM, SAM, Losses, masked_performance

RESULTS = Path(__file__).parent / "results"
Batch = Mapping[str, Tensor]


class Trained(nn.Module):
    """The two encoders with a head each, for the unimodal losses."""

    def __init__(self):
        super().__init__()
        self.model = Clinical()
        self.heads = nn.ModuleDict({name: nn.Linear(32, 25) for name in ("ehr", "cxr")})

    def forward(self, inputs: Batch) -> Tensor:
        """Return fused logits."""
        return self.model(inputs)

    def losses(self, batch: Batch) -> Losses:
        """Return all losses of one forward pass."""
        z = {"ehr": self.model.ehr(batch["ehr"]), "cxr": self.model.cxr(batch["cxr"])}
        loss, target = functional.binary_cross_entropy_with_logits, batch["target"]
        fused = self.model.head(torch.cat([z["ehr"], z["cxr"]], dim=1))
        unimodal = {name: loss(head(z[name]), target) for name, head in self.heads.items()}
        return Losses(loss(fused, target), unimodal)

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """The encoders as an optimizer takes them."""
        return {"ehr": self.model.ehr, "cxr": self.model.cxr}


def late(net: Trained, base: torch.optim.Optimizer) -> Callable[[Batch], str | None]:
    """Return the step of late fusion."""

    def step(batch: Batch) -> None:
        base.zero_grad()
        net.losses(batch).total({"ehr": 1.0, "cxr": 1.0}).backward()
        base.step()

    return step


def wrapped(kind: Any, **settings: Any) -> Callable[..., Callable[[Batch], str | None]]:
    """Return what makes the step of one of our optimizers."""

    def make(net: Trained, base: torch.optim.Optimizer) -> Callable[[Batch], str | None]:
        optimizer = kind(base, encoders=net.encoders, **settings)

        def step(batch: Batch) -> str | None:
            more: dict[str, Any] = {}
            if kind is MSAM:
                inputs = {name: batch[name] for name in ("ehr", "cxr")}
                more["performance"] = masked_performance(net, inputs, batch["target"], "neg_loss")
            return getattr(optimizer.step(lambda: net.losses(batch), **more), "dominant", None)

        return step

    return make


def official_shape(net: Trained, base: torch.optim.Optimizer) -> Callable[[Batch], str | None]:
    """Return a step with the passes and loops of MASAM's public code."""
    groups = {name: list(part.parameters()) for name, part in net.encoders.items()}
    everything = [p for group in base.param_groups for p in group["params"]]

    def gradients(loss: Tensor, *, retain: bool) -> list[Tensor]:
        base.zero_grad()
        loss.backward(retain_graph=retain)
        return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in everything]

    def step(batch: Batch) -> str:
        losses = net.losses(batch)
        found = {"fusion": gradients(losses.fusion, retain=True)}
        for name, loss in losses.unimodal.items():
            found[name] = gradients(loss, retain=True)
        total = gradients(losses.total({"ehr": 1.0, "cxr": 1.0}), retain=False)
        place = {id(p): i for i, p in enumerate(everything)}
        scores: dict[str, float] = {}
        for name, group in groups.items():
            cosines = [
                functional.cosine_similarity(
                    found["fusion"][place[id(p)]].flatten(), found[name][place[id(p)]].flatten(), 0
                ).item()
                for p in group
            ]
            scores[name] = sum(cosines) / len(cosines)
        dominant = max(scores, key=lambda name: scores[name])
        squares = sum(found["fusion"][place[id(p)]].norm().item() ** 2 for p in groups[dominant])
        scale = 0.5 * scores[dominant] / (squares**0.5 + 1e-12)
        saved = [p.detach().clone() for p in groups[dominant]]
        with torch.no_grad():
            for p in groups[dominant]:
                p.add_(scale * found["fusion"][place[id(p)]])
        perturbed = gradients(net.losses(batch).total({"ehr": 1.0, "cxr": 1.0}), retain=False)
        with torch.no_grad():
            for p, value in zip(groups[dominant], saved, strict=True):
                p.copy_(value)
        inside = {id(p) for group in groups.values() for p in group}
        for i, p in enumerate(everything):
            p.grad = perturbed[i] if id(p) in inside else total[i]
        base.step()
        return dominant

    return step


SIDES: dict[str, Any] = {
    "late fusion": late,
    "SAM": wrapped(SAM),
    "M-SAM": wrapped(MSAM),
    "MASAM": wrapped(MASAM),
    "MASAM, ehr dominant": wrapped(MASAM, score="given"),
    "MASAM, cxr dominant": wrapped(MASAM, score="given"),
    "MASAM, light": wrapped(MASAM, alignment="feature"),
    "MASAM, selection kept 10 steps": wrapped(MASAM, every=10),
    "official shape": official_shape,
}


def main() -> None:
    """Time the sides in turn and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="16 x 16 images")
    # Enough that the median is none of the first steps, in which played passes are compared.
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    batches = [b for b in clinical_batches(quick=options.quick) if len(b["target"]) == 48]
    steps: dict[str, Callable[[Batch], str | None]] = {}
    for name, make in SIDES.items():
        torch.manual_seed(0)
        net = Trained()
        if name.endswith("dominant"):
            net = _always(net, name.split()[1])
        steps[name] = make(net, torch.optim.AdamW(net.parameters(), lr=1e-4))
    times: dict[str, list[float]] = {name: [] for name in steps}
    dominant: dict[str, list[str | None]] = {name: [] for name in steps}
    for number in range(options.rounds + 1):
        for name, step in steps.items():
            began = time.process_time()
            told = step(batches[number % len(batches)])
            if number:  # the first one looks around
                times[name].append(time.process_time() - began)
                dominant[name].append(told)
    medians = {name: statistics.median(found) for name, found in times.items()}
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
        "torch": torch.__version__,
        "quick": options.quick,
        "rounds": options.rounds,
        "seconds": medians,
        "dominant": {n: {str(d): t.count(d) for d in set(t)} for n, t in dominant.items()},
    }
    name = "step-quick" if options.quick else "step"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(text := table(found))
    print(text)


def _always(net: Trained, name: str) -> Trained:
    """Return the network with scores that one encoder always wins."""
    losses = net.losses

    def scored(batch: Batch) -> Losses:
        found = losses(batch)
        return Losses(found.fusion, found.unimodal, {n: float(n == name) for n in net.encoders})

    net.losses = scored
    return net


def table(found: Mapping[str, Any]) -> str:
    """Return the results as Markdown."""
    seconds = found["seconds"]
    size = "16 x 16" if found["quick"] else "64 x 64"
    both = (seconds["MASAM, ehr dominant"] + seconds["MASAM, cxr dominant"]) / 2
    lines = [
        "# Seconds of a training step",
        "",
        f"{found['machine']}, torch {found['torch']}; ehr-cxr, images of {size}, batches of 48; "
        f"median of {found['rounds']} steps, CPU seconds, all sides in turn.",
        "",
        "| method | seconds | x late fusion | dominant |",
        "|---|---|---|---|",
    ]
    for name, value in seconds.items():
        told = ", ".join(
            f"{d} {n}" for d, n in sorted(found["dominant"][name].items()) if d != "None"
        )
        lines.append(f"| {name} | {value:.3f} | {value / seconds['late fusion']:.2f} | {told} |")
    ratio = seconds["official shape"] / both
    lines += [
        "",
        f"MASAM, mean over which encoder dominates: {ratio:.2f} times fewer seconds than ",
    ]
    lines[-1] += "the official shape (two forward and M + 3 backward passes, loops over tensors)."
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
