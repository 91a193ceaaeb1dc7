"""What is measured: a transformer and a residual network on ehr-cxr, and four trained encoders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.datasets import load_dataset
from sharpscope.models.transformer import TransformerEncoder
from sharpscope.recipes import parse_recipe
from sharpscope.subject import Subject
from sharpscope.subject.rebuild import load_subject
from sharpscope.training import save_checkpoint, train

SAMPLES, BATCH, STEPS = 128, 48, 200  # the last batch is short
RECIPES = {"avdigits": "avdigits:hard", "emoji": "emoji:image+en"}
ENCODERS = (
    ("ehr-cxr", "ehr"),
    ("ehr-cxr", "cxr"),
    ("avdigits", "image"),
    ("avdigits", "audio"),
    ("emoji", "image"),
    ("emoji", "en"),
)


class Block(nn.Module):
    """Two 3 x 3 convolutions with BatchNorm and a shortcut (He et al., 2016, arXiv 1512.03385)."""

    def __init__(self, inside: int, filters: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(inside, filters, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(filters)
        self.second = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        same = inside == filters and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(
                nn.Conv2d(inside, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inside, H, W) to (N, filters, H / stride, W / stride)."""
        hidden = functional.relu(self.norm(self.first(x)))
        return functional.relu(self.norm2(self.second(hidden)) + self.shortcut(x))


class ResNet20(nn.Module):
    """Three stages of three blocks, 16, 32 and 64 filters."""

    def __init__(self, width: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)]
        layers.append(nn.ReLU())
        inside = 16
        for stage, filters in enumerate((16, 32, 64)):
            for block in range(3):
                layers.append(Block(inside, filters, 2 if stage and not block else 1))
                inside = filters
        self.layers = nn.Sequential(*layers)
        self.project = nn.Linear(inside, width)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 1, H, W) to (N, width)."""
        return self.project(self.layers(images).mean((2, 3)))


class Clinical(nn.Module):
    """Both encoders, and a linear layer on their embeddings."""

    def __init__(self):
        super().__init__()
        self.ehr = TransformerEncoder((24, 48), width=32, tokens=64)
        self.cxr = ResNet20(32)
        self.head = nn.Linear(64, 25)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Map both inputs to 25 logits."""
        return self.head(torch.cat([self.ehr(inputs["ehr"]), self.cxr(inputs["cxr"])], dim=1))


def clinical_batches(*, quick: bool) -> list[dict[str, Tensor]]:
    """Return 128 training items in batches of 48; images of 16 x 16 where it must be quick."""
    data = load_dataset("ehr-cxr", preset="small")
    batches = data.splits["train"].batches(BATCH, limit=SAMPLES)
    for batch in batches if quick else ():
        batch["cxr"] = functional.avg_pool2d(batch["cxr"], 4)
    return batches


def prepare(folder: Path, *, quick: bool) -> None:
    """Train what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, recipe in RECIPES.items():
        if not (path := folder / f"{name}.pt").exists():
            save_checkpoint(path, train(parse_recipe(recipe, method="joint", seed=0)))
    if not (path := _clinical(folder, quick)).exists():
        torch.manual_seed(0)
        model, batches = Clinical(), clinical_batches(quick=quick)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for step in range(STEPS):
            batch = batches[step % len(batches)]
            optimizer.zero_grad()
            functional.binary_cross_entropy_with_logits(model(batch), batch["target"]).backward()
            optimizer.step()
        torch.save(model.state_dict(), path)


def subject_of(workload: str, folder: Path, *, quick: bool, **settings: Any) -> Subject:
    """Return a workload under the scope."""
    if workload in RECIPES:
        samples = 256 if quick else 512
        return load_subject(folder / f"{workload}.pt", samples=samples, **settings)
    model = Clinical()
    model.load_state_dict(torch.load(_clinical(folder, quick), weights_only=True))
    return Subject(
        model.eval(),
        clinical_batches(quick=quick),
        loss=functional.binary_cross_entropy_with_logits,
        call="whole",
        encoders={"ehr": "ehr", "cxr": "cxr"},
        **settings,
    )


def _clinical(folder: Path, quick: bool) -> Path:
    return folder / ("clinical-quick.pt" if quick else "clinical.pt")
