"""Lease: a controller that has to be alive, or its outputs are safe and its commands refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import (
    InvalidValueError,
    LeaseNotHeldError,
    RefusedError,
    UnavailableError,
)
from edgekernel.core.record import dataclass
from edgekernel.core.signals import Signal

if TYPE_CHECKING:
    from edgekernel.core.context import Host

_MAX_HOLDER = 64


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """What a lease is for.

    `outputs`, each as "device.output", leave their safe values, and `commands`, each as
    "component.command", are carried out, only while somebody has renewed the lease within the last
    `timeout_s` seconds.
    """

    timeout_s: float
    outputs: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


class Lease:
    """One lease: held by a controller for as long as it says so again and again.

    It is held by one at a time, told apart by name; those without one count as the same. Another
    one takes it over when it is released or lost. From any thread; none of it waits for a driver.
    """

    def __init__(self, name: str, terms: LeaseTerms, host: Host, how: Callable[[str], str]) -> None:
        """Be held by nobody; `how` says by what a lease of a name is renewed."""
        self.name = name
        self.terms = terms
        self._host = host
        self._how = how
        self._lock = threading.Lock()  # around the fields
        self._holder = ""
        self._due_ns: int | None = None  # until when it is held
        self._numbers = count(1)
        self._changes: Signal[int] = Signal(0, name=f"lease.{name}")  # each number once
        self._timer = host.timers.timer(self._lapse)
        self._making_safe = [
            host.outputs.timer(partial(self._make_safe, label)) for label in terms.outputs
        ]

    @property
    def held(self) -> bool:
        """Whether it is held now; whoever reads it does not follow it."""
        due_ns = self._due_ns
        return due_ns is not None and self._host.clock.monotonic_ns() < due_ns

    def check(self, wanted: str, device: str = "") -> None:
        """Raise LeaseNotHeldError that says what was `wanted`, unless it is held.

        An effect that asks runs again when that changes.
        """
        self._changes.get()
        if not self.held:
            raise LeaseNotHeldError(
                f"{wanted}: lease {self.name} is not held: {self._how(self.name)} every "
                f"{self.terms.timeout_s:g} s",
                device,
            )

    def renew(self, holder: str = "", at_ns: int | None = None) -> None:
        """Hold it from now on, or from an earlier moment, for the time of its terms.

        Raises UnavailableError while another one holds it, and for what is too late already,
        InvalidValueError for a name of more than 64 characters.
        """
        if len(holder) > _MAX_HOLDER or not holder.isprintable():
            raise InvalidValueError(f"a holder's name has at most {_MAX_HOLDER} characters")
        now_ns = self._host.clock.monotonic_ns()
        due_ns = (now_ns if at_ns is None else at_ns) + round(self.terms.timeout_s * NANOSECONDS)
        if due_ns <= now_ns:
            raise UnavailableError(f"lease {self.name}: not renewed: it was asked for too long ago")
        with self._lock:
            held = self.held
            if held and self._holder != holder:
                raise UnavailableError(f"lease {self.name} is held by {self._holder or 'another'}")
            lapsed = self._due_ns is not None and not held
            before, self._holder = self._holder, holder
            self._due_ns = due_ns if self._due_ns is None or lapsed else max(self._due_ns, due_ns)
        self._timer.set(due_ns)
        if lapsed:  # the timer is late
            self._end(before, self._out_of_time)
        if not held:
            self._host.post(message.LeaseHeld(self.name, holder))
            self._changes.set(next(self._numbers))

    def release(self, holder: str = "") -> None:
        """Give it up at once. Raises UnavailableError unless `holder` holds it."""
        with self._lock:
            if not self.held or self._holder != holder:
                who = (self._holder or "another") if self.held else "nobody"
                raise UnavailableError(f"lease {self.name}: not released: it is held by {who}")
            self._due_ns = None
        self._end(holder, "released")

    def figures(self) -> dict[str, Any]:
        """Return how it stands, ready for JSON."""
        with self._lock:
            held, due_ns = self.held, self._due_ns or 0
            left_ns = due_ns - self._host.clock.monotonic_ns() if held else 0
            return {
                "held": held,
                "holder": self._holder if held else "",
                "left_s": max(0, left_ns) / NANOSECONDS,
                "timeout_s": self.terms.timeout_s,
                "outputs": list(self.terms.outputs),
                "commands": list(self.terms.commands),
            }

    @property
    def _out_of_time(self) -> str:
        return f"not renewed for {self.terms.timeout_s:g} s"

    def _lapse(self) -> None:
        with self._lock:
            due_ns = self._due_ns
            lapsed = due_ns is not None and not self.held
            if lapsed:
                self._due_ns = None
            holder = self._holder
        if lapsed:
            self._end(holder, self._out_of_time)
        elif due_ns is not None:
            self._timer.set(due_ns)

    def _end(self, holder: str, reason: str) -> None:
        """Let follow what follows from the loss: each output on a thread of its own."""
        now_ns = self._host.clock.monotonic_ns()
        for timer in self._making_safe:
            timer.set(now_ns)
        self._host.post(message.LeaseLost(self.name, holder, reason))
        self._changes.set(next(self._numbers))

    def _make_safe(self, label: str) -> None:
        id, _, name = label.partition(".")
        device = self._host.devices.get(id)
        if device is None or not device.attached:
            return  # it begins safe
        output = device.outputs[name]
        try:
            output.make_safe()
        except RefusedError as error:  # the output goes on to try
            self._host.post(message.OutputNotDriven(label, output.safe, str(error)))
        if self.held:  # held again meanwhile: what drives it does so anew
            self._changes.set(next(self._numbers))
