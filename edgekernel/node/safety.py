"""Safety: an operator holds all outputs of a node at their safe values, until they may go on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from edgekernel.core.context import Host
from edgekernel.core.device import Device
from edgekernel.core.errors import HeldByOperatorError, InvalidValueError, RefusedError
from edgekernel.core.markers import command, on
from edgekernel.core.message import OutputNotDriven, RuntimeBooted
from edgekernel.core.messages import Event, Message, Severity
from edgekernel.core.process import Process
from edgekernel.core.signals import Signal

WAIT_S = 2.0
"""How long `hold` waits for the outputs to be safe before it says which are not known to be."""
_KEY = "safety.held"
_MAX_REASON = 200


class SafetyHeld(Message):
    """An operator holds the outputs at their safe values; `not_safe` are those that are not."""

    name = "safety.held"
    severity = Severity.WARNING
    reason: str
    not_safe: tuple[str, ...] = ()


class SafetyResumed(Message):
    """The outputs may leave their safe values again."""

    name = "safety.resumed"


class Safety(Process):
    """Holds every output that has a safe value. Make it before the boot, when all devices are made.

    What is held stays so across a restart where the node has a place for what it is to know.
    Devices that are added while the node runs are not held.
    """

    name = "safety"

    def __init__(self, host: Host, devices: Mapping[str, Device]) -> None:
        """Let the outputs of these devices ask whether they are held, from their beginning on."""
        self._host = host
        self._lock = host.clock.Lock()  # around hold and resume
        self._held = Signal(str(host.outputs.memory.get(_KEY) or ""), name="safety.held")
        self._pending: set[str] = set()
        self._all_safe = host.clock.Event()
        interlocks = host.outputs.join_interlocks()
        self._labels: list[str] = []
        for id, device in devices.items():
            for output in device.outputs.values():
                if output.safe is not None:
                    self._labels.append(output.label)
                    interlocks.require(output.label, partial(self._check, device=id))
        self._timers = {
            label: host.outputs.timer(partial(self._make_safe, label)) for label in self._labels
        }

    @property
    def held(self) -> str:
        """Why the outputs are held; "" if they are not."""
        return self._held.peek()

    @command(blocking=True)
    def hold(self, reason: str) -> dict[str, Any]:
        """Make all outputs safe and hold them there; return which are not known to be safe.

        Everything else goes on: readings, commands, and what drives outputs, which waits.
        """
        text = " ".join(reason.split())
        if not text or len(text) > _MAX_REASON:
            raise InvalidValueError(f"a reason has 1 to {_MAX_REASON} characters")
        with self._lock:
            self._pending = set(self._labels)
            self._all_safe.clear()
            self._host.outputs.memory.put_all({_KEY: text})
            self._held.set(text)
            now_ns = self._host.clock.monotonic_ns()
            for timer in self._timers.values():
                timer.set(now_ns)
            if self._labels:
                self._all_safe.wait(WAIT_S)
            not_safe = tuple(sorted(self._pending))
            self._host.emit(SafetyHeld(text, not_safe), self.name)
        return {"held": text, "not_safe": list(not_safe)}

    @command(blocking=True)
    def resume(self) -> None:
        """Let the outputs leave their safe values: what drives them does so again, and what was
        set by hand stays safe."""
        with self._lock:
            if not self.held:
                return
            self._host.outputs.memory.put(_KEY, "")
            self._held.set("")
            self._host.emit(SafetyResumed(), self.name)

    @on(RuntimeBooted)
    def tell(self, event: Event) -> None:
        """Say so if they have been held since before the start."""
        if self.held:
            self.ctx.emit(SafetyHeld(self.held))

    def _check(self, wanted: str, device: str) -> None:
        """Raise HeldByOperatorError while they are held; an effect that asks runs again then."""
        if reason := self._held.get():
            raise HeldByOperatorError(f"{wanted}: an operator holds it safe: {reason}", device)

    def _make_safe(self, label: str) -> None:
        """Make one output safe, on a thread of its own: a driver that hangs delays no other."""
        id, _, name = label.partition(".")
        device = self._host.devices.get(id)
        if device is not None and device.attached and self.held:
            output = device.outputs[name]
            try:
                output.make_safe()
            except RefusedError as error:  # the output goes on to try
                self._host.post(OutputNotDriven(label, output.safe, str(error)))
                return
        self._pending.discard(label)
        if not self._pending:
            self._all_safe.set()
