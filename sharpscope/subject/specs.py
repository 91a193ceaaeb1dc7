"""Read a ``sharpscope.toml``: how to rebuild a Subject from somebody else's checkpoint."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn import functional as F

from sharpscope.checks import nearest
from sharpscope.errors import FactoryError, MisuseError, SpecError
from sharpscope.subject.batches import CALLS
from sharpscope.subject.factories import Factory
from sharpscope.subject.losses import NAMED_LOSSES
from sharpscope.subject.spec_tables import Table, check_filled_in

SPEC_NAME = "sharpscope.toml"
SPLITS = ("train", "val", "test")
# What training reports of its own recipes, so that a spec and a recipe speak of the same thing.
METRICS = ("accuracy", "auprc")
_SECTIONS = ("model", "data", "loss", "metric", "encoders")


@dataclass(frozen=True, kw_only=True)
class LossSpec:
    """A loss by its name or its factory.

    Attributes:
        name: One of ``NAMED_LOSSES``.
        factory: A function that is called without a batch and returns the loss: a torch loss, or
            a ``callable(model, batch)``.
        call: How a batch becomes a call of the model: ``args``, ``kwargs`` or ``whole``.
        target: Key of the target in a mapping batch.
        modality: Whose loss it is, where it is not the fusion loss.
    """

    name: str | None = None
    factory: Factory | None = None
    call: str | None = None
    target: str | None = None
    modality: str | None = None

    def build(self) -> Any:
        """Return the loss: its name, or what the factory returns.

        Raises:
            SpecError: If there is no such factory.
            FactoryError: If it fails, or returns what cannot be this loss.
        """
        if self.factory is None:
            return self.name
        loss = self.factory()
        torch_loss = isinstance(loss, nn.Module) or getattr(loss, "__module__", "") == F.__name__
        if self.modality and torch_loss:
            raise FactoryError(
                f"{self.factory} must return a callable(model, batch) for {self.modality!r} alone; "
                "a torch loss would be the loss of the fused output"
            )
        if not callable(loss):
            raise FactoryError(
                f"{self.factory} must return a torch loss or a callable(model, batch); it "
                f"returned {type(loss).__name__}"
            )
        return loss


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a ``sharpscope.toml`` says.

    Attributes:
        path: The file.
        sha256: Hash of the file's bytes.
        model: Builds the untrained model.
        state: Key of the state dict in the checkpoint, where it holds several.
        prefix: Take only the tensors under this prefix.
        ignore: Module paths or globs of the file's tensors that are not loaded.
        data: Builds the batches, by split.
        loss: The fusion loss.
        unimodal: Loss of each modality alone.
        metric: One of ``METRICS``; ``show`` tells it, and no measurement needs it.
        predict: A function of (model, batch) that returns (logits, target).
        encoders: Module paths or globs of each modality.
    """

    path: Path
    sha256: str
    model: Factory
    state: str | None = None
    prefix: str | None = None
    ignore: tuple[str, ...] = ()
    data: Mapping[str, Factory] = field(default_factory=dict[str, Factory])
    loss: LossSpec | None = None
    unimodal: Mapping[str, LossSpec] = field(default_factory=dict[str, LossSpec])
    metric: str | None = None
    predict: Factory | None = None
    encoders: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


def read_spec(path: str | Path) -> Spec:
    """Read and check a spec; no code that it names is run yet.

    Raises:
        MisuseError: If there is no such file.
        SpecError: If it is no TOML, or an entry is unknown, missing, of the wrong type or not
            filled in.
    """
    path = Path(path)
    if not path.is_file():
        there = path.parent.iterdir() if path.parent.is_dir() else ()
        hint = nearest(path.name, [entry.name for entry in there])
        raise MisuseError(f"no such spec file: {path}{hint}")
    try:
        content = path.read_bytes()
        tables = tomllib.loads(content.decode())
    except OSError as error:
        raise SpecError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not TOML: {error}") from error
    for section in tables:
        if section not in _SECTIONS:
            raise SpecError(
                f"{path}: unknown section [{section}]{nearest(section, _SECTIONS)}; there are "
                f"{', '.join(_SECTIONS)}"
            )
    check_filled_in(path, tables)
    if "model" not in tables:
        raise SpecError(f"{path} has no section [model], whose factory builds the model")
    model = Table(
        path, "model", tables["model"], ("factory", "kwargs", "state", "prefix", "ignore")
    )
    factory = model.factory("factory", **model.kwargs())
    if factory is None:
        raise SpecError(f"{path}: [model] has no factory, the function that builds the model")
    metric = Table(path, "metric", tables.get("metric", {}), ("name", "predict"))
    loss, unimodal = _losses(path, tables.get("loss", {}))
    encoders = Table(path, "encoders", tables.get("encoders", {}))
    return Spec(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        model=factory,
        state=model.text("state"),
        prefix=model.text("prefix"),
        ignore=model.patterns("ignore") if "ignore" in model else (),
        data=_data(path, tables.get("data", {})),
        loss=loss,
        unimodal=unimodal,
        metric=metric.choice("name", METRICS),
        predict=metric.factory("predict"),
        encoders={name: encoders.patterns(name) for name in encoders.values},
    )


def _data(path: Path, value: Any) -> dict[str, Factory]:
    table = Table(path, "data", value, (*SPLITS, "factory", "kwargs"))
    shared = table.kwargs()
    if "factory" in table and "test" in table:
        raise SpecError(f"{path}: data.factory alone means test, and data.test is there too")
    found: dict[str, Factory | None] = {}
    for key in (*SPLITS, "factory"):
        split = "test" if key == "factory" else key
        if isinstance(table.values.get(key), dict):
            own = Table(path, f"data.{key}", table.values[key], ("factory", "kwargs"))
            found[split] = own.factory("factory", **(shared | own.kwargs()))
            if found[split] is None:
                raise SpecError(f"{path}: [data.{key}] has no factory")
        elif key in table:
            found[split] = table.factory(key, **shared)
    return {split: factory for split, factory in found.items() if factory is not None}


def _losses(path: Path, value: Any) -> tuple[LossSpec | None, dict[str, LossSpec]]:
    table = Table(path, "loss", value, ("name", "factory", "kwargs", "call", "target", "unimodal"))
    unimodal = Table(path, "loss.unimodal", table.values.get("unimodal", {}))
    made = {name: _unimodal(unimodal, name) for name in unimodal.values}
    if not set(table.values) - {"unimodal"}:
        return None, made
    if "name" in table and "factory" in table:
        raise SpecError(f"{path}: [loss] has a name and a factory: delete one of them")
    if "name" not in table and "factory" not in table:
        raise SpecError(f"{path}: [loss] has neither a name nor a factory")
    loss = LossSpec(
        name=table.choice("name", NAMED_LOSSES),
        factory=table.factory("factory", **table.kwargs()),
        call=table.choice("call", CALLS),
        target=table.text("target"),
    )
    return loss, made


def _unimodal(table: Table, name: str) -> LossSpec:
    """Return the loss of one modality, which only its own code can tell from the fusion loss."""
    value = table.values[name]
    if isinstance(value, str) and value in NAMED_LOSSES:
        raise SpecError(
            f"{table.path}: {table.name}.{name} = {value!r} would be the loss of the fused output: "
            'name a "module:function" that returns callable(model, batch) for this modality alone'
        )
    if isinstance(value, dict):
        own = Table(table.path, f"{table.name}.{name}", value, ("factory", "kwargs"))
        factory = own.factory("factory", **own.kwargs())
    else:
        factory = table.factory(name)
    if factory is None:
        raise SpecError(f"{table.path}: [{table.name}.{name}] has no factory")
    return LossSpec(factory=factory, modality=name)
