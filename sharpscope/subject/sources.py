"""The two things that a checkpoint can be rebuilt from, behind one interface."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from sharpscope.checks import one_of
from sharpscope.datasets import Dataset
from sharpscope.errors import FactoryError, MisuseError, SpecError
from sharpscope.recipes import Recipe, build_dataset, build_model, losses, predict
from sharpscope.subject.factories import Factory
from sharpscope.subject.specs import SPLITS, Spec

# Items per batch of a recipe's data: large enough for the kernels, small enough for the caches.
_BATCH_SIZE = 64


class Source(Protocol):
    """Knows how to build the model, the batches and the losses of a checkpoint."""

    def model(self) -> nn.Module:
        """Build the untrained model."""
        ...

    def encoders(self) -> Mapping[str, Any]:
        """Return the modality map."""
        ...

    def batches(self, split: str | None, batch_size: int | None) -> tuple[str, Iterable[Any]]:
        """Return the split, train or the only one by default, and its batches."""
        ...

    def losses(self) -> dict[str, Any]:
        """Return the arguments of Subject that speak of losses and predictions."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what every result should keep of the source."""
        ...


@dataclass(frozen=True, eq=False)
class RecipeSource:
    """A recipe of ours, with its data."""

    recipe: Recipe
    dataset: Dataset

    @classmethod
    def of(cls, entries: Mapping[str, Any]) -> "RecipeSource":
        """Read a recipe that came from a file, and load its data."""
        recipe = Recipe.from_dict(entries)
        return cls(recipe, build_dataset(recipe))

    def model(self) -> nn.Module:
        """Build the untrained model."""
        return build_model(self.recipe, self.dataset)

    def encoders(self) -> Mapping[str, Any]:
        """Return the modality map."""
        return {name: f"encoders.{name}" for name in self.dataset.modalities}

    def batches(self, split: str | None, batch_size: int | None) -> tuple[str, Iterable[Any]]:
        """Return the split, train by default, and its batches."""
        splits = {str(name): part for name, part in self.dataset.splits.items()}
        name = one_of("split", _default(split, splits), splits)
        return name, splits[name].batches(_BATCH_SIZE if batch_size is None else batch_size)

    def losses(self) -> dict[str, Any]:
        """Return the arguments of Subject that speak of losses and predictions."""
        unimodal = losses(self.recipe, self.dataset)
        return {
            "loss": unimodal.pop("fusion"),
            "unimodal": unimodal,
            "unimodal_weight": self.recipe.unimodal_weight,
            "predict": predict,
        }

    def facts(self) -> dict[str, Any]:
        """Return the recipe as plain types."""
        return {"recipe": self.recipe.to_dict()}


@dataclass(frozen=True, eq=False)
class SpecSource:
    """The functions that a ``sharpscope.toml`` names."""

    spec: Spec

    def model(self) -> nn.Module:
        """Build the untrained model."""
        model = self.spec.model()
        if not isinstance(model, nn.Module):
            raise FactoryError(
                f"{self.spec.model} must return a torch.nn.Module; it returned "
                f"{type(model).__name__}"
            )
        return model

    def encoders(self) -> Mapping[str, Any]:
        """Return the modality map, empty where the spec has none."""
        return self.spec.encoders

    def batches(self, split: str | None, batch_size: int | None) -> tuple[str, Iterable[Any]]:
        """Return the split, train or the only one by default, and its batches."""
        data = self.spec.data
        if not data:
            raise SpecError(
                f"{self.spec.path} names no data: add [data] with test = "
                '"module:function", which returns the batches'
            )
        name = one_of("split", _default(split, data), SPLITS)
        if name not in data:
            raise MisuseError(
                f"{self.spec.path} has no split {name!r}, only {', '.join(data)}: add "
                f'{name} = "module:function" to [data]'
            )
        factory = data[name]
        batches = factory(**_batch_size(factory, batch_size))
        if not hasattr(batches, "__iter__") or isinstance(batches, str | Mapping):
            raise FactoryError(
                f"{factory} must return a loader or a list of batches; it returned "
                f"{type(batches).__name__}"
            )
        if isinstance(batches, Iterator):
            raise FactoryError(
                f"{factory} returned a {type(batches).__name__}, which can be walked only once: "
                "return a DataLoader or a list"
            )
        return name, batches

    def losses(self) -> dict[str, Any]:
        """Return the arguments of Subject that speak of losses and predictions."""
        loss = self.spec.loss
        if loss is None:
            raise SpecError(
                f"{self.spec.path} names no loss: add [loss] with name = "
                '"cross_entropy", "bce_with_logits" or "mse", or a factory'
            )
        return {
            "loss": loss.build(),
            "call": loss.call,
            "target": loss.target,
            "unimodal": {name: part.build() for name, part in self.spec.unimodal.items()},
            "predict": self._predict(),
        }

    def _predict(self) -> Any:
        factory = self.spec.predict
        return None if factory is None else factory.function()

    def facts(self) -> dict[str, Any]:
        """Return which file it was, its hash, and the metric it names."""
        facts = {"spec": str(self.spec.path), "spec_sha256": self.spec.sha256}
        return facts if self.spec.metric is None else facts | {"metric": self.spec.metric}


def _default(split: str | None, splits: Iterable[str]) -> str:
    """Return the split asked for, else the only one, else train, else the first."""
    if split is not None:
        return split
    names = list(splits)
    return "train" if "train" in names else names[0]


def _batch_size(factory: Factory, batch_size: int | None) -> dict[str, int]:
    """Return the keyword that carries the batch size, if one is asked for and it is taken."""
    if batch_size is None:
        return {}
    takes = inspect.signature(factory.function()).parameters
    if "batch_size" not in takes and all(p.kind is not p.VAR_KEYWORD for p in takes.values()):
        raise SpecError(
            f"{factory} takes no batch_size, so the batches are as it makes them: leave "
            "--batch-size out, or give the function that argument"
        )
    return {"batch_size": batch_size}
