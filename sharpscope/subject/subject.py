"""What is under the scope: model, replayable batches, losses, modality map, provenance."""

import copy
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.checks import at_least, one_of
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.replay import Tape
from sharpscope.subject import batches as batching
from sharpscope.subject.door import check_parameters, measured_device, measured_dtype, original
from sharpscope.subject.kernels import twice_differentiable
from sharpscope.subject.losses import (
    BatchLoss,
    LossSum,
    as_batch_loss,
    is_criterion,
    total_loss,
)
from sharpscope.subject.memory import default_memory
from sharpscope.subject.owners import assign_owners
from sharpscope.subject.predictions import Predict, as_predict, encoder_modules
from sharpscope.subject.proof import Census, prove_still, visits
from sharpscope.subject.selection import Selection, select
from sharpscope.subject.still import Held, held_still, only


class Subject:
    """A model under the scope, with the data, the losses and the modality map to study it by.

    The loss measured is the mean over items, ``L = Σ_b S_b / Σ_b w_b`` with the sum S and the
    weight w of each batch, whatever the sizes of the batches.

    Args:
        model: Any module; a compiled one is measured through its original module.
        batches: A loader or list that can be walked again and again in the same order. A batch
            is a tuple ``(*inputs, target)``, a mapping with a target, or anything at all where
            ``loss`` is a callable(model, batch).
        loss: The fusion loss: a torch loss such as ``F.cross_entropy``, or a
            ``callable(model, batch)`` that returns the batch's mean or a pair (sum, weight).
        encoders: For each modality the part of the model that embeds it: a module path, a glob,
            a module, or a list of these. What no encoder owns is ``shared``.
        unimodal: Loss of each modality alone, a ``callable(model, batch)`` each.
        unimodal_weight: λ of the total loss ``L_fusion + λ Σ_m L_m``.
        predict: ``callable(model, batch)`` that returns (logits, target), for what is measured on
            predictions; not needed where ``loss`` is torch's cross entropy.
        batch_size: Function from a batch to its number of items; by default the first axis of
            its first tensor.
        call: How a batch becomes a call of the model: ``args``, ``kwargs`` or ``whole``.
        target: Key of the target in a mapping batch.
        samples: Measure on the first so many items only.
        device: Where to measure; by default where the model is.
        dtype: ``float32`` or ``float64`` (or the torch dtype); by default the model's own, and
            float32 for a model in half precision, float64 for one of mixed precisions.
        replay: Whether modules that do not depend on the Selection are run once and played back
            from then on; the numbers are the same.
        memory: Bytes that recordings and kept graphs may take; by default half of what is free
            when a measurement begins. With less, more is computed again.
        provenance: Facts to keep in every result, such as the checkpoint's sha256. An entry
            ``spec`` is the file to name where the encoders or the losses are wrong.

    Raises:
        MisuseError: If an encoder matches nothing or a parameter is owned twice, or an argument
            is not allowed.
        SpecError: If the encoders of a spec are wrong.

    Example:
        >>> import torch, sharpscope as ss
        >>> from torch.nn import functional as F
        >>> from torch.nn import Linear
        >>> model = torch.nn.ModuleDict({"ehr": Linear(3, 2), "cxr": Linear(4, 2)})
        >>> data = [(torch.randn(5, 3), torch.randn(5, 4), torch.tensor([0, 1, 0, 1, 1]))]
        >>> def loss(model, batch):
        ...     return F.cross_entropy(model["ehr"](batch[0]) + model["cxr"](batch[1]), batch[2])
        >>> ss.Subject(model, data, loss=loss, encoders={"ehr": "ehr", "cxr": "cxr"})
        Subject(ehr 8, cxr 10, shared 0 parameters)
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Iterable[Any],
        *,
        loss: Any,
        encoders: Mapping[str, Any],
        unimodal: Mapping[str, Any] | None = None,
        unimodal_weight: float = 1.0,
        predict: Any = None,
        batch_size: batching.Length | None = None,
        call: str | None = None,
        target: str | None = None,
        samples: int | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        replay: bool = True,
        memory: int | None = None,
        provenance: Mapping[str, Any] | None = None,
    ):
        self.model = original(model)
        self.provenance = dict(provenance or {})
        self.owners = assign_owners(self.model, encoders, spec=self.provenance.get("spec"))
        check_parameters(self.model)
        self.length = batch_size or batching.length
        if not hasattr(batches, "__iter__"):
            raise MisuseError(
                f"batches must be a loader or a list of batches; got {type(batches).__name__}"
            )
        self.batches = (
            batches
            if samples is None
            else batching.FirstSamples(batches, samples, length=self.length)
        )
        self.samples = samples
        self._loader = batches
        if call is not None:
            one_of("call", call, batching.CALLS)
        self.losses = self._losses(loss, dict(unimodal or {}), unimodal_weight, call, target)
        self._predict = as_predict(predict, loss, call=call, target=target)
        self.device = measured_device(device, self.model)
        self.dtype, self.notes = measured_dtype(dtype, self.model)
        self.replay = replay
        self.memory = None if memory is None else at_least("memory", memory, 0, "bytes")
        self.notes = (*self.notes, *self.provenance.get("notes", ()))
        # A criterion may hold class weights: it stands still as well.
        criteria = [value for value in (loss,) if isinstance(value, nn.Module)]
        self._stage = nn.ModuleList([self.model, *criteria]) if criteria else self.model
        self._held: Held | None = None

    def __repr__(self) -> str:
        sizes = {name: sum(p.numel() for p in self.owners.of(name).values()) for name in self.parts}
        return f"Subject({', '.join(f'{k} {n:,}' for k, n in sizes.items())} parameters)"

    @property
    def parts(self) -> tuple[str, ...]:
        """The modalities, then ``shared``."""
        return (*self.owners.modalities, "shared")

    def select(self, name: str) -> Selection:
        """Return the parameters that ``name`` means.

        It is a modality, ``shared``, several of these joined by ``+``, ``all`` or a glob.
        """
        return select(self.owners, name)

    def loss(self, name: str) -> BatchLoss:
        """Return the loss called ``name``: fusion, total or a modality.

        Raises:
            MisuseError: If the subject has no such loss.
        """
        if name not in self.losses and name in ("total", *self.owners.modalities):
            spec = self.provenance.get("spec")
            advice = f"add [loss.unimodal] to {spec}" if spec else "pass unimodal={...} to Subject"
            raise MisuseError(
                f"loss {name!r} needs a unimodal loss for each modality it speaks of: {advice}"
            )
        return self.losses[one_of("loss", name, self.losses)]

    @property
    def predict(self) -> Predict:
        """What gives logits and target of a batch, from model and batch.

        Raises:
            SubjectError: If nothing tells what the model predicts.
        """
        if self._predict is None:
            spec = self.provenance.get("spec")
            advice = (
                f'add predict = "module:function" to [metric] of {spec}'
                if spec
                else "pass predict=callable(model, batch) to Subject"
            )
            raise SubjectError(
                "this needs predictions, which only the cross entropy of classes or labels shows: "
                f"{advice}, which returns a pair (logits, target)"
            )
        return self._predict

    def encoder(self, name: str) -> tuple[nn.Module, ...]:
        """Return the modules of an encoder, topmost first; empty where none is its own."""
        one_of("modality", name, self.owners.modalities)
        return encoder_modules(self.model, self.owners, name)

    def walk(self) -> Generator[Any]:
        """Yield the batches on the device and in the dtype of the measurement."""
        for batch in self.batches:
            yield batching.moved(batch, self.device, self.dtype)

    def excerpt(self) -> "Subject":
        """Return the same model with the first batch alone, for a trial of what a product costs."""
        found = copy.copy(self)
        found.batches, found.samples = batching.FirstBatch(self.batches), None
        return found

    def in_double(self) -> "Subject":
        """Return the same subject, measured in float64."""
        found = copy.copy(self)
        found.dtype, found._held = torch.float64, None
        return found

    def rows(self, part: str, whole: str) -> Tensor:
        """Return which entries of the Selection ``whole`` belong to one of its parts, ``[dim]``."""
        chosen = {id(parameter) for parameter in self.owners.of(part).values()}
        parameters = self.select(whole).parameters
        return torch.cat(
            [torch.full((p.numel(),), id(p) in chosen, device="cpu") for p in parameters]
        )

    @contextmanager
    def still(self) -> Generator[None]:
        """Hold the model still inside the block and give it back unchanged; blocks may nest."""
        if self._held is not None and self._held.active:
            yield
            return
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            held_still(self._stage, self._loader, device=self.device, dtype=self.dtype) as held,
            twice_differentiable(self.model),
        ):
            self._held = held
            yield

    @contextmanager
    def studying(self, selection: Selection) -> Generator[None]:
        """Hold the model still and let gradients reach the Selection alone."""
        with self.still(), only(self.model, selection.parameters):
            yield

    def tape(self, selection: Selection, more: Iterable[Tensor] = ()) -> Tape:
        """Return an empty tape for what does not depend on a Selection, nor on more tensors."""
        memory = self.free_memory()
        moving = [*selection.parameters, *more]
        return Tape(self.model, moving, memory=memory, enabled=self.replay)

    def free_memory(self) -> float:
        """Return the bytes that recordings and kept graphs may take."""
        return default_memory(self.device) if self.memory is None else self.memory

    def census(self, loss: str | BatchLoss = "fusion", *, tape: Tape | None = None) -> Census:
        """Prove that the subject stands still and return what is in its data.

        The second pass fills the ``tape``.

        Raises:
            SubjectError: If it does not, or the data is empty or refused; the cause is named.
        """
        with self.still():
            return prove_still(
                self.model,
                batching.Again(self.walk),
                self.loss(loss) if isinstance(loss, str) else loss,
                length=self.length,
                tape=tape,
            )

    def visits(
        self,
        loss: str | BatchLoss,
        *,
        tape: Tape | None = None,
        skip: int = 0,
    ) -> Generator[tuple[int, Any, LossSum]]:
        """Yield each batch's number, the batch and its loss, with gradients where they are on.

        Args:
            loss: Name of the loss, or the loss itself.
            tape: Plays back what stands still.
            skip: Batches at the beginning to leave out.
        """
        chosen = self.loss(loss) if isinstance(loss, str) else loss
        return visits(self.model, batching.Again(self.walk), chosen, tape=tape, skip=skip)

    def _losses(
        self,
        loss: Any,
        unimodal: dict[str, Any],
        weight: float,
        call: str | None,
        target: str | None,
    ) -> dict[str, BatchLoss]:
        for name, value in unimodal.items():
            one_of("a modality of unimodal", name, self.owners.modalities)
            if isinstance(value, str) or is_criterion(value):
                raise MisuseError(
                    f"the unimodal loss of {name!r} must be a callable(model, batch): a loss of "
                    "the model's output would be the fusion loss again under another name"
                )
        made = {
            name: as_batch_loss(value, length=self.length, call=call, target=target)
            for name, value in ({"fusion": loss} | unimodal).items()
        }
        if set(unimodal) == set(self.owners.modalities):
            parts = {name: made[name] for name in unimodal}
            made["total"] = total_loss(made["fusion"], parts, weight)
        return made
