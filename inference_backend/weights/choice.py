"""Which model, in which precision, fits the memory that is free; it looks at nothing and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from inference_backend.installation.steps import gigabytes
from inference_backend.vila_m3.precision import Precision
from inference_backend.weights.catalogue import Entry
from inference_backend.weights.memory import memory_needed
from VILAM3SlicerLib.protocol.errors import InvalidRequest, ModelError

DeviceKind = Literal["cuda", "mps", "cpu"]

SLOW_ON_A_CPU = 6_000_000_000
"""Bytes that a CPU has to read for every word, beyond which a person should know that it takes long."""


@dataclass(frozen=True)
class Machine:
    """What a model could run on.

    Attributes:
        name: the device as a person knows it.
        free_bytes: its memory that is free now.
        has_bfloat16: whether it computes in bfloat16.
        can_quantise: whether bitsandbytes is there and works on it.
    """

    kind: DeviceKind
    name: str
    free_bytes: int
    has_bfloat16: bool = True
    can_quantise: bool = False

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """What it can compute in, the most faithful first; each needs less memory than the one before."""
        half = Precision.BF16 if self.has_bfloat16 else Precision.FP16
        full = (Precision.FP32, half) if self.kind == "cpu" else (half,)
        return (*full, Precision.INT8, Precision.NF4) if self.can_quantise else full


@dataclass(frozen=True)
class Choice:
    """A model in a precision, and why; ``fits`` is False only where a person insists."""

    entry: Entry
    precision: Precision
    needed_bytes: int
    fits: bool
    reason: str


def choose_precision(
    entry: Entry, machine: Machine, asked: Precision | None = None, reserved_bytes: int = 0
) -> Choice:
    """The best precision in which ``entry`` fits.

    Args:
        asked: what a person wants; taken even where it seems not to fit.
        reserved_bytes: what the experts want of the same memory; kept free for them where 8 bits allow it.

    Raises:
        ModelError: it fits in none; the hint says what would.
        InvalidRequest: the machine cannot compute in what was asked for.
    """
    if asked is not None:
        return _as_asked(entry, machine, asked)
    needed = memory_needed(entry)
    fitting = [precision for precision in machine.precisions if needed[precision] <= machine.free_bytes]
    if not fitting:
        raise _too_large(entry, machine)
    chosen = _leaving_room(fitting, needed, machine.free_bytes - reserved_bytes) or fitting[0]
    return Choice(entry, chosen, needed[chosen], True, _reason(entry, machine, chosen, reserved_bytes))


def choose_model(
    entries: Sequence[Entry], machine: Machine, asked: Precision | None = None, reserved_bytes: int = 0
) -> Choice:
    """The best of ``entries`` that fits; with one entry its own choice.

    Raises:
        ModelError: none fits.
        InvalidRequest: the machine cannot compute in what was asked for.
    """
    ranked = sorted(entries, key=lambda entry: entry.rank or len(entries) + 1)
    passed: list[str] = []
    for entry in ranked:
        try:
            choice = choose_precision(entry, machine, asked, reserved_bytes)
        except ModelError:
            passed.append(entry.id)
            continue
        if choice.fits or entry is ranked[-1]:
            return _noting(choice, passed)
        passed.append(entry.id)
    raise _too_large(ranked[-1], machine)


def _leaving_room(
    fitting: Sequence[Precision], needed: Mapping[Precision, int], budget: int
) -> Precision | None:
    """The best that leaves the experts their room. Four bits are for a model that fits no other way."""
    roomy = (one for one in fitting if one is not Precision.NF4 and needed[one] <= budget)
    return next(roomy, None)


def _noting(choice: Choice, passed: Sequence[str]) -> Choice:
    if not passed:
        return choice
    reason = f"{choice.reason} {', '.join(passed)} would not fit."
    return Choice(choice.entry, choice.precision, choice.needed_bytes, choice.fits, reason)


def _as_asked(entry: Entry, machine: Machine, asked: Precision) -> Choice:
    if asked.is_quantised and not machine.can_quantise:
        raise InvalidRequest(
            f"{machine.name} cannot use {asked}: that takes bitsandbytes, which is not there or not for it.",
            f"Use one of {', '.join(machine.precisions)}.",
        )
    needed = memory_needed(entry)[asked]
    fits = needed <= machine.free_bytes
    warning = "" if fits else f", though only {gigabytes(machine.free_bytes)} are free on {machine.name}"
    reason = f"{entry.id} in {asked}, as asked: needs about {gigabytes(needed)}{warning}."
    return Choice(entry, asked, needed, fits, reason)


def _reason(entry: Entry, machine: Machine, chosen: Precision, reserved_bytes: int) -> str:
    needed = memory_needed(entry)
    place = f"{gigabytes(machine.free_bytes)} free on {machine.name}"
    text = f"{entry.id} in {chosen}: needs about {gigabytes(needed[chosen])} of {place}."
    better = machine.precisions[: machine.precisions.index(chosen)]
    if better:
        text += f" {better[-1]} would need {gigabytes(needed[better[-1]])}."
    if reserved_bytes and needed[chosen] + reserved_bytes > machine.free_bytes:
        text += f" The experts, which want {gigabytes(reserved_bytes)}, will have to wait for room."
    elif reserved_bytes:
        text += f" {gigabytes(reserved_bytes)} stay free for the experts."
    if machine.kind == "cpu" and needed[chosen] > SLOW_ON_A_CPU:
        text += " On a CPU each word takes long."
    return text


def _too_large(entry: Entry, machine: Machine) -> ModelError:
    smallest = machine.precisions[-1]
    needed = memory_needed(entry)[smallest]
    return ModelError(
        f"{entry.id} does not fit: {gigabytes(needed)} in {smallest}, its smallest here, "
        f"and {gigabytes(machine.free_bytes)} free on {machine.name}.",
        "Close other programs, use a smaller model (--model), or insist with --precision.",
        "out_of_memory",
    )
