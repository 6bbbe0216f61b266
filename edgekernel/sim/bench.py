"""The bench: the outside of a simulated node, as its hands and its weather see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from edgekernel.backends.sim import SimBackend
from edgekernel.core.clock import EventLike, ThreadLike
from edgekernel.core.context import Context
from edgekernel.core.errors import InvalidValueError, UnknownTargetError, nearest
from edgekernel.core.markers import command
from edgekernel.core.process import Process
from edgekernel.core.service import Service
from edgekernel.hal.gpio import LineOutside

_LONGEST_PRESS_S = 3600


class World(Protocol):
    """A piece of physics between outputs and readings, made with the bench as its argument."""

    def step(self, seconds: float) -> None:
        """Let `seconds` pass: look at the outputs, move the quantities of the chips."""
        ...


@dataclass(frozen=True, slots=True)
class Wiring:
    """What hangs on the board for one device: its lines, and its chip or far end if it has one."""

    lines: dict[str, str]
    """Line name by driver parameter."""
    active_high: bool
    chip: Any = None


class Bench(Process):
    """The simulated surroundings of a node. Its commands let a test or a person take part.

    It is the component `sim` of a simulated node: `call/sim/press` presses a button.
    """

    name = "sim"

    def __init__(self, backend: SimBackend, wiring: Mapping[str, Wiring]) -> None:
        self._backend = backend
        self._wiring = wiring
        self._fingers: dict[str, tuple[EventLike, ThreadLike]] = {}

    def stop(self, ctx: Context) -> None:
        """Lift every finger."""
        fingers = list(self._fingers.items())
        for device, (_, thread) in fingers:
            self._lift(device)
            thread.join()

    def chip(self, device: str) -> Any:
        """Return the simulated chip of a device; its quantities are plain attributes."""
        wired = self._wired(device)
        if wired.chip is None:
            raise UnknownTargetError(f"{device} has no simulated chip")
        return wired.chip

    def is_on(self, device: str) -> bool:
        """Say whether the device's line is at its active level, seen from outside."""
        wired = self._wired(device)
        return self.line(self._line(device)).level == wired.active_high

    def line(self, name: str) -> LineOutside:
        """Return the outside of a line: of the board ("GPIO17"), or of a device ("io:GPA3")."""
        provider, _, provided = name.rpartition(":")
        if provider:
            outside: LineOutside = self.chip(provider).line(provided)
            return outside
        return self._backend.line(name)

    @command
    def press(self, device: str, seconds: float = 0.2) -> None:
        """Bring a device's input line to its active level for `seconds`, at most an hour.

        This is a finger on a button: it returns at once, and the release comes by itself.
        """
        if not 0 < seconds <= _LONGEST_PRESS_S:
            raise InvalidValueError(
                f"seconds: {seconds} is not allowed; above 0, at most {_LONGEST_PRESS_S} is"
            )
        clock = self.ctx.clock
        self.hold(device)
        lifted = clock.Event()
        thread = clock.Thread(
            partial(self._release_after, device, seconds, lifted), f"sim:press {device}"
        )
        self._fingers[device] = lifted, thread
        thread.start()

    @command
    def hold(self, device: str) -> None:
        """Bring a device's input line to its active level until it is released or pressed."""
        line = self._line(device)
        self._lift(device)
        self.line(line).drive(self._wired(device).active_high)

    @command
    def release(self, device: str) -> None:
        """Bring a device's input line back to its idle level."""
        line = self._line(device)
        self._lift(device)
        self.line(line).drive(not self._wired(device).active_high)

    @command
    def level(self, line: str) -> bool:
        """Return the electrical level of a line such as "GPIO17" or "io:GPA3"; true is high."""
        return self.line(line).level

    @command
    def drive(self, line: str, level: bool) -> None:
        """Drive an input line from outside; true is high."""
        self.line(line).drive(level)

    @command
    def set_quantity(self, device: str, quantity: str, value: float) -> None:
        """Set what a device's simulated chip measures, such as temperature_c."""
        chip = self.chip(device)
        known = [name for name in vars(chip) if not name.startswith("_")]
        if quantity not in known:
            raise UnknownTargetError(
                f"the chip of {device} has no quantity {quantity!r}{nearest(quantity, known)}"
            )
        if type(getattr(chip, quantity)) not in (int, float, bool):
            raise InvalidValueError(f"{quantity} of {device} is no number")
        setattr(chip, quantity, type(getattr(chip, quantity))(value))

    def _release_after(self, device: str, seconds: float, lifted: EventLike) -> None:
        if not lifted.wait(seconds):
            self.release(device)

    def _lift(self, device: str) -> None:
        """Keep a press that has not ended from releasing the line later."""
        lifted, _ = self._fingers.pop(device, (None, None))
        if lifted is not None:
            lifted.set()

    def _wired(self, device: str) -> Wiring:
        if device not in self._wiring:
            raise UnknownTargetError(f"no device {device!r}{nearest(device, dict(self._wiring))}")
        return self._wiring[device]

    def _line(self, device: str) -> str:
        lines = self._wired(device).lines
        if len(lines) != 1:
            raise UnknownTargetError(f"{device} has {len(lines)} lines; name a line instead")
        return next(iter(lines.values()))


class WorldService(Service):
    """Steps a world in the time of the runtime's clock."""

    name = "world"

    def __init__(self, world: World) -> None:
        self.world = world
        self.interval = float(getattr(world, "step_s", 1.0))
        self._last_s = 0.0

    def start(self, ctx: Context) -> None:
        """Begin at the present."""
        self._last_s = ctx.clock.monotonic()

    def tick(self, ctx: Context) -> None:
        """Let the time since the last tick pass in the world."""
        now = ctx.clock.monotonic()
        self.world.step(now - self._last_s)
        self._last_s = now
