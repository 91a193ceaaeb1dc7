"""Import and call the functions that a ``sharpscope.toml`` names."""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sharpscope.checks import nearest
from sharpscope.errors import FactoryError, SpecError


@dataclass(frozen=True, kw_only=True)
class Factory:
    """A function of the user's, named in a spec.

    Calling it imports its module, looked for in the spec's own folder first, and calls the
    function with its keyword arguments.

    Attributes:
        key: Where in the spec it stands, such as ``model.factory``.
        target: ``module:function``.
        kwargs: Keyword arguments.
        spec: The spec's file.
    """

    key: str
    target: str
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    spec: Path

    def __call__(self, **more: Any) -> Any:
        """Return what the function returns.

        Raises:
            SpecError: If there is no such module or function.
            FactoryError: If importing or calling it raises, with its own error in the sentence.
        """
        function = self.function()
        try:
            return function(**(dict(self.kwargs) | more))
        except (Exception, SystemExit) as error:
            raise FactoryError(f"{self} raised {_said(error)}") from error

    def __str__(self) -> str:
        return f'{self.spec}: {self.key} = "{self.target}"'

    def function(self) -> Callable[..., Any]:
        """Import and return the function.

        Raises:
            SpecError: If there is no such module or function.
            FactoryError: If importing its module raises.
        """
        name, _, path = self.target.partition(":")
        folder = self.spec.resolve().parent
        put_first(folder)
        _check_not_shadowed(self, name.partition(".")[0], folder)
        try:
            found: Any = importlib.import_module(name)
        except (Exception, SystemExit) as error:  # a script may parse arguments when imported
            absent = isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(
                f"{error.name}."
            )
            raise (SpecError if absent else FactoryError)(
                f"{self} cannot be imported: {_said(error)} (modules are looked for in {folder} "
                "first)"
            ) from error
        for part in path.split("."):
            if not hasattr(found, part):
                names = [key for key, value in vars(found).items() if callable(value)]
                raise SpecError(f"{self}: {name!r} has no {part!r}{nearest(part, names)}")
            found = getattr(found, part)
        if not callable(found):
            raise SpecError(f"{self} must be a function; it is of type {type(found).__name__}")
        return found


def put_first(folder: Path) -> None:
    """Put the folder of the user's code at the front of ``sys.path``, once, and leave it there.

    What runs later (a loader, a forward pass) may import more of it.
    """
    entry = str(folder)
    if sys.path[:1] != [entry]:
        sys.path[:] = [entry, *(other for other in sys.path if other != entry)]
    # The folder may have changed since Python last looked into it.
    importlib.invalidate_caches()


def _check_not_shadowed(factory: Factory, name: str, folder: Path) -> None:
    """Refuse a module of that name imported before from elsewhere: it would be used in silence."""
    files = [folder / f"{name}.py", folder / name / "__init__.py"]
    here = next((file for file in files if file.is_file()), None)
    there = getattr(sys.modules.get(name), "__file__", None)
    if here and name in sys.modules and (there is None or Path(there).resolve() != here):
        raise SpecError(
            f"{factory} means {here}, but another module called {name!r} is already imported "
            f"({there or 'built in'}): rename yours, or start a new process"
        )


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": .")
