"""From a recipe to its data and its untrained model."""

import torch
from torch import nn

from sharpscope.datasets import Dataset, load_dataset
from sharpscope.datasets.noise import with_noise
from sharpscope.models import MultimodalModel, build_encoder, build_fusion
from sharpscope.recipes.recipe import Recipe
from sharpscope.streams import stream


def build_dataset(recipe: Recipe) -> Dataset:
    """Load or generate the data of a recipe, with its label noise if it has any."""
    found = load_dataset(
        recipe.dataset,
        recipe.preset,
        seed=int(recipe.settings["data_seed"]),
        modalities=recipe.modalities,
    )
    rate = float(recipe.settings["label_noise"])
    if not rate:
        return found
    draws = stream(int(recipe.settings["data_seed"]), "label noise")
    kind = str(recipe.settings["noise_kind"])
    return with_noise(found, rate=rate, kind=kind, generator=draws)


def build_model(recipe: Recipe, dataset: Dataset) -> MultimodalModel:
    """Build the untrained model of a recipe, the same for the same seed.

    Each encoder starts from a random stream of its own, so that it starts the same whichever other
    modalities there are. The global random state is left as it was.

    Args:
        recipe: Names encoders and fusion.
        dataset: Gives shapes and number of outputs.
    """
    settings = recipe.settings
    width, outputs = int(settings["width"]), len(dataset.classes)
    encoders: dict[str, nn.Module] = {}
    with torch.random.fork_rng(devices=[]):
        for name, modality in dataset.modalities.items():
            _seed(recipe, "encoder", name)
            encoders[name] = build_encoder(
                str(settings[f"{modality.kind}_encoder"]),
                kind=modality.kind,
                shape=modality.shape,
                width=width,
                dropout=float(settings["dropout"]),
            )
        _seed(recipe, "fusion")
        fusion = build_fusion(
            str(settings["fusion"]), modalities=len(encoders), width=width, outputs=outputs
        )
        return MultimodalModel(encoders, fusion=fusion, width=width, outputs=outputs)


def _seed(recipe: Recipe, *part: str) -> None:
    """Put torch's CPU generator at the start of a named stream; only inside ``fork_rng``."""
    torch.set_rng_state(stream(recipe.seed, "model", *part).get_state())
