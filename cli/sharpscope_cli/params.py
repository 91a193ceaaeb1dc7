"""Values of options: checked when they are parsed, by the library's own rules and registries."""

import re
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, ClassVar

import click

from sharpscope.checks import at_least, one_of, positive
from sharpscope.errors import MisuseError


class Registered(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """One of the names in a registry, which is imported when a value is parsed.

    Args:
        where: Module and attribute of the registry, such as ``sharpscope.measure:ENGINES``.
    """

    name = "name"

    def __init__(self, where: str):
        self.where = where

    def names(self) -> list[str]:
        """Return the names in the registry."""
        module, _, attribute = self.where.partition(":")
        registry: Iterable[str] = getattr(import_module(module), attribute)
        return list(registry)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name if it is registered, else raise with every name that is."""
        return one_of(_called(param), value, self.names())


class Listed(Registered):
    """Several of the names in a registry, joined by commas."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the names, each once."""
        if isinstance(value, tuple):
            return value
        names = [name.strip() for name in str(value).split(",")]
        return tuple(dict.fromkeys(super(Listed, self).convert(n, param, ctx) for n in names))


class Checked(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """A number that one of the library's checks accepts."""

    def __init__(self, name: str, read: Callable[[str], Any], check: Callable[[str, Any], Any]):
        self.name = name
        self.read = read
        self.check = check

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; a text that is none is shown as it came."""
        with suppress(ValueError):
            value = self.read(value)
        if isinstance(value, str):
            raise MisuseError(f"{_called(param)} must be a {self.name}; got {value!r}")
        return self.check(_called(param), value)


class Assignment(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """``name=value``, read as a pair."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the pair of texts."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals or not name.strip():
            raise MisuseError(
                f"{_called(param)} must be NAME=VALUE, such as lr=0.001; got {value!r}"
            )
        return name.strip(), text.strip()


class Shape(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """Points along x, y and z, such as ``51x51``."""

    name = "shape"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the numbers; the library checks them."""
        if isinstance(value, tuple):
            return value
        parts = str(value).lower().split("x")
        if not all(part.isdigit() for part in parts):
            raise MisuseError(
                f"{_called(param)} must be points along each axis, such as 51, 51x51 or "
                f"21x21x21; got {value!r}"
            )
        from sharpscope.landscape.grid import check_shape

        return check_shape([int(part) for part in parts])


class Span(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """A number above 0, or ``auto``."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number or the word."""
        return value if value == "auto" else POSITIVE.convert(value, param, ctx)


class Memory(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """An amount of memory, such as ``500MB`` or ``2GiB``, read as bytes."""

    name = "memory"
    units: ClassVar[dict[str, int]] = {
        "": 1,
        "b": 1,
        "kb": 10**3,
        "mb": 10**6,
        "gb": 10**9,
        "tb": 10**12,
        "kib": 2**10,
        "mib": 2**20,
        "gib": 2**30,
        "tib": 2**40,
    }

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number of bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([a-zA-Z]*)", str(value).strip())
        if found is None or found[2].lower() not in self.units:
            wanted = "an amount of memory, such as 500MB or 2GiB"
            raise MisuseError(f"{_called(param)} must be {wanted}; got {value!r}")
        return int(float(found[1]) * self.units[found[2].lower()])


def count(least: int, why: str = "") -> Checked:
    """Return the type of whole numbers from ``least``."""
    return Checked("whole number", int, lambda name, value: at_least(name, value, least, why))


POSITIVE = Checked("number", float, positive)


@contextmanager
def as_typed() -> Generator[None]:
    """Name options in the library's errors as they are typed: ``--loss``, not ``loss``.

    The library's sentences begin with the name of the argument, say ``(with engine ...)`` of the
    one that restricts it, and end with ``there are`` and the names of others.
    """
    options = [p for p in click.get_current_context().command.params if isinstance(p, click.Option)]
    typed = {str(option.name): option.opts[-1] for option in options}
    try:
        yield
    except MisuseError as error:
        name, _, rest = str(error).partition(" ")
        if name not in typed:
            raise
        rest, there, others = rest.partition("; there are ")
        others = ", ".join(typed.get(other, other) for other in others.split(", "))
        rest = re.sub(r"(?<=\(with )\w+(?= ')", lambda found: typed.get(found[0], found[0]), rest)
        raise MisuseError(f"{typed[name]} {rest}{there}{others}") from error


def device_named(name: str) -> str:
    """Return the device that ``name`` means; ``auto`` is CUDA where there is one.

    Raises:
        MisuseError: If it is no device, or one that is not there.
    """
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if there else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise MisuseError(f"--device must be auto, cpu, cuda or cuda:N; got {name!r}")
    if kind == "cuda" and int(index or 0) >= there:
        found = f"there are {there} CUDA devices here" if there else "CUDA is not there"
        raise MisuseError(f"--device {name} was asked for and {found}; use --device cpu")
    return name


def _called(param: click.Parameter | None) -> str:
    return "the value" if param is None else param.opts[-1]


RESUME = click.option(
    "--resume",
    is_flag=True,
    help="Leave out what --out holds already of the same checkpoints, data and settings.",
)
