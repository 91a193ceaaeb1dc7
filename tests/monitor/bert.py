"""A tiny BERT beside an image encoder, built from a config, and data for both."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from transformers import BertConfig, BertModel

ENCODERS = {"text": "text", "image": "image"}
CONFIG: Any = BertConfig(
    vocab_size=20,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=6,
)


class Pair(nn.Module):
    """Takes a batch as keywords and returns its loss, as the Trainer wants it."""

    def __init__(self):
        super().__init__()
        self.text = BertModel(CONFIG, add_pooling_layer=False)
        self.image = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Dropout(0.3)
        )
        self.head = nn.Linear(8 + 12, 3)

    def text_of(self, input_ids: Tensor) -> Tensor:
        """Return the features of a text."""
        return self.text(input_ids=input_ids).last_hidden_state.mean(1)

    def forward(self, input_ids: Tensor, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return loss and logits."""
        logits = self.head(torch.cat([self.text_of(input_ids), self.image(pixels)], dim=1))
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def loss_of(model: Any, batch: Any) -> Tensor:
    """Return the fusion loss."""
    return model(**batch)["loss"]


class Captions(Dataset[dict[str, Tensor]]):
    """Items of two modalities with labels."""

    def __init__(self, count: int = 80):
        draw = torch.Generator().manual_seed(3)
        self.table = {
            "input_ids": torch.randint(20, (count, 6), generator=draw),
            "pixels": torch.randn(count, 1, 4, 4, generator=draw),
            "labels": torch.randint(3, (count,), generator=draw),
        }

    def __len__(self) -> int:
        return len(self.table["labels"])

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        return {name: column[place] for name, column in self.table.items()}

    def batches(self, size: int = 8) -> list[dict[str, Tensor]]:
        """Return all items in batches."""
        parts = {name: column.split(size) for name, column in self.table.items()}
        return [
            {name: parts[name][place] for name in parts} for place in range(len(parts["labels"]))
        ]
