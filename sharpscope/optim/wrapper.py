"""What all optimizers here share: the base optimizer, the door, and how a gradient is applied."""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from sharpscope.checks import positive
from sharpscope.errors import MisuseError, SharpscopeError
from sharpscope.optim.arithmetic import Gradients, norm, scaled
from sharpscope.optim.around import Around
from sharpscope.optim.blocks import Blocks, parts
from sharpscope.optim.door import Rho, radius, weights
from sharpscope.optim.losses import Losses, check_finite, floats
from sharpscope.optim.passes import Closure, Passes
from sharpscope.optim.records import Step
from sharpscope.optim.reduction import mean_gradients, processes, summed
from sharpscope.optim.undoing import remembered

R = TypeVar("R", bound=Step, covariant=True)


class Wrapper(Around, Generic[R]):
    """A base optimizer that is given another gradient than that of the loss at the current point.

    It shares the base optimizer's ``param_groups`` and ``state``, so that learning-rate schedulers
    and checkpoints work on it as on the base. The base optimizer takes one step with the final
    gradient; after it no parameter has a ``.grad``.

    Args:
        base: Any torch optimizer.
        encoders: For each modality its modules or parameters; the rest is shared.
        unimodal_weight: λ of the unimodal losses, one number or one for each modality.
        clip_norm: Largest norm of the final gradient.
        process_group: The processes that train together; all of torch.distributed by default.
        local: Whether each process takes the perturbation from its own gradient (m-sharpness).
    """

    separate = False
    _undo: Callable[[], None] | None = None

    def __init__(
        self,
        base: Optimizer,
        *,
        encoders: Mapping[str, Any],
        unimodal_weight: float | Mapping[str, float] = 1.0,
        clip_norm: float | None = None,
        process_group: Any = None,
        local: bool = False,
    ):
        if not isinstance(base, Optimizer):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise MisuseError(
                "base must be a torch optimizer that holds the parameters, such as "
                f"torch.optim.SGD(model.parameters(), lr=0.1); got {type(base).__name__}"
            )
        if isinstance(base, torch.optim.LBFGS):
            raise MisuseError("LBFGS calls its closure itself and cannot be a base optimizer")
        if clip_norm is not None:
            positive("clip_norm", clip_norm)
        super().__init__(base)
        self._encoders = {name: parts(name, given) for name, given in encoders.items()}
        self.blocks = Blocks(base, self._encoders)
        self.weights = weights(unimodal_weight, self.blocks.names)
        self.clip_norm = clip_norm
        self.process_group = process_group
        self.local = local
        self._passes = Passes(self.blocks, separate=self.separate)

    def _bind(self) -> None:
        self.blocks = Blocks(self.base, self._encoders)
        self._passes = Passes(self.blocks, separate=self.separate)

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, closure: Closure | Sequence[Closure], *, scaler: Any = None, **options: Any
    ) -> R:
        """Take one step on a batch and return what was done.

        Args:
            closure: Runs the forward pass and returns its losses, a tensor or ``Losses``; the
                optimizer differentiates. Several closures are micro-batches of one batch: the
                step is that on their mean loss.
            scaler: A ``torch.amp.GradScaler``, for float16: losses are scaled, the gradient is
                unscaled, an overflow skips the step and the scale is updated.
            options: Of the method.

        Raises:
            MisuseError: If the closure returns something else than losses, or gradients are left
                from before.
            SharpscopeError: If a loss is not finite.
        """
        closures = [closure] if callable(closure) else list(closure)
        if not closures or not all(callable(c) for c in closures):
            raise MisuseError(
                "step needs a closure that runs the forward pass and returns its losses, or a "
                f"list of them; got {type(closure).__name__}"
            )
        if any(p.grad is not None for p in self.blocks.parameters):
            raise MisuseError(
                "there are gradients from before the step, which it would lose: call zero_grad(), "
                "leave backward() out of the loop, and pass several closures to accumulate"
            )
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        if self._scaler is not None:  # a scaler makes its scale when it is first used
            self._scaler.scale(torch.zeros((), device=self.blocks.parameters[0].device))
        self._scale = self._scaler.get_scale() if self._scaler else 1.0
        before, self._undo = self._memory(), None
        try:
            with self._passes.step(closures):
                record = self._step(**options)
        except BaseException:
            self._recall(before)
            if self._undo is not None:
                self._undo()
            raise
        finally:
            self._scaler = None
        self._undo = None
        self.steps += 1
        self._since += 1
        return record

    @abstractmethod
    def _step(self) -> R:
        """Take one step."""

    def _rho(self, rho: Rho) -> float:
        """Return the radius of this step."""
        return radius("rho", rho(self.steps)) if callable(rho) else rho

    def _grad(
        self, loss: Tensor | None, places: Sequence[int] | None = None, *, retain: bool = False
    ) -> Gradients:
        """Return the gradient of a loss; absent where it does not reach or is not asked for."""
        parameters = self.blocks.parameters
        places = range(len(parameters)) if places is None else places
        found: Gradients = [None] * len(parameters)
        if loss is None or not places:
            return found
        gradients: Any = torch.autograd.grad(
            loss if self._scale == 1 else loss * self._scale,
            [parameters[i] for i in places],
            retain_graph=retain,
            allow_unused=True,
        )
        seen: set[int] = set()
        for i, gradient in zip(places, gradients, strict=True):
            if gradient is None:
                continue
            if gradient.layout != torch.strided:
                raise MisuseError(
                    "sparse gradients are not supported: make the embedding with sparse=False"
                )
            # One tensor may be the gradient of two parameters, and be changed in place for one.
            found[i] = gradient.clone() if id(gradient) in seen else gradient
            seen.add(id(gradient))
        return found if self._scale == 1 else scaled(found, 1 / self._scale)

    def _reduced(self, gradients: Gradients) -> Gradients:
        """Return the mean over processes."""
        return mean_gradients(gradients, self.blocks.parameters, self.process_group)

    def _for_radius(self, gradients: Gradients, reduced: Gradients) -> Gradients:
        """Return the gradient that a perturbation is taken from."""
        return gradients if self.local else reduced

    def _due(self) -> bool:
        """Return whether played features are to be compared with run ones in this step.

        In the first steps, ever more rarely, and then every hundredth; also after a state is
        loaded.
        """
        return self._since % 100 == 0 or (self._since & (self._since - 1)) == 0

    def _apply(self, gradients: Gradients, *, last: bool = True) -> bool:
        """Let the base optimizer step with a gradient; return whether it did.

        Args:
            gradients: The final ones.
            last: Whether it is the step's last one, which a scaler is told of.

        Raises:
            SharpscopeError: If they are not finite, and no scaler skips the step.
        """
        size = norm(gradients)
        fine = self._everywhere(math.isfinite(floats([size])[0]))
        if not fine and self._scaler is None:
            raise SharpscopeError(
                "the gradient at the perturbed point is not finite although that at the current "
                "point is; parameters and optimizer are as before: lower rho or the learning rate"
            )
        if self.clip_norm is not None:
            factor = (self.clip_norm / (size + 1e-6)).clamp(max=1.0)
            gradients = scaled(gradients, factor)
        if not last:  # the other half of the step may still fail
            pairs = zip(self.blocks.parameters, gradients, strict=True)
            moved = [p for p, gradient in pairs if gradient is not None]
            self._undo = remembered(self.base, moved)
        scaler = self._scaler if last else None
        if scaler is not None:
            gradients = scaled(gradients, self._scale)
        parameters = self.blocks.parameters
        try:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            if scaler is not None:
                scaler.unscale_(self.base)
                scaler.step(self.base)
                scaler.update()
            elif fine:
                self.base.step()
            if last and not fine and self._undo is not None:
                self._undo()
        finally:
            for parameter in parameters:
                parameter.grad = None
            torch.clear_autocast_cache()  # half-precision copies of before
        return fine

    def _everywhere(self, fine: bool) -> bool:
        """Return whether something holds on every process."""
        return self._summed([float(not fine)]) == [0.0]

    def _overflow(self, gradients: Gradients) -> None:
        """Tell the scaler of an overflow in the first pass: nothing is stepped."""
        self._apply([None if g is None else torch.full_like(g, torch.inf) for g in gradients])

    def _values(self, seen: Sequence[Losses]) -> dict[str, float]:
        """Return the mean losses over micro-batches and processes, by name.

        A modality that is missing from a micro-batch does not count there.
        """
        names = ["fusion", *self.blocks.names]
        tensors = [(n, t) for losses in seen for n, t in _named(losses).items()]
        sums, counts = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
        for (name, _), value in zip(tensors, floats([t for _, t in tensors]), strict=True):
            sums[name] += value
            counts[name] += 1
        if processes(self.process_group) > 1:
            both = self._summed([*sums.values(), *counts.values()])
            sums = dict(zip(names, both[: len(names)], strict=True))
            counts = dict(zip(names, both[len(names) :], strict=True))
        return {name: sums[name] / counts[name] for name in names if counts[name]}

    def _summed(self, values: Sequence[float]) -> list[float]:
        """Return sums over processes."""
        return summed(values, self.blocks.parameters[0].device, self.process_group)

    def _check(self, values: Mapping[str, float], size: float) -> bool:
        """Return whether the first pass is finite; raise if it is not and nothing scales it."""
        sound = self._everywhere(all(abs(v) < torch.inf for v in (*values.values(), size)))
        if not sound and self._scaler is None:
            check_finite(values)
            raise SharpscopeError(
                "the gradient is not finite although the losses are; parameters and optimizer are "
                "as before this step: lower the learning rate"
            )
        return sound

    def _described(self, values: Mapping[str, float]) -> dict[str, Any]:
        """Return what every record says."""
        unimodal = {name: value for name, value in values.items() if name != "fusion"}
        total = values["fusion"] + sum(self.weights[n] * v for n, v in unimodal.items())
        compiled = "the model is compiled, so nothing was replayed"
        notes = (compiled,) if self._passes.compiled and self._replays else ()
        if self._passes.refused:
            notes = (*notes, "nothing was replayed: a played pass was not that of running it")
        return {"fusion": values["fusion"], "unimodal": unimodal, "total": total, "notes": notes}

    _replays = False


def _named(losses: Losses) -> dict[str, Tensor]:
    return {"fusion": losses.fusion, **losses.unimodal}
