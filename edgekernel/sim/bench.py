"""The bench: the outside of a simulated node, as its hands and its weather see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from edgekernel.backends.sim import SimBackend, SimDisk
from edgekernel.core import message
from edgekernel.core.clock import Clock, EventLike, ThreadLike
from edgekernel.core.context import Context
from edgekernel.core.errors import InvalidValueError, UnknownTargetError, describe, nearest
from edgekernel.core.markers import command
from edgekernel.core.process import Process
from edgekernel.hal.gpio import LineOutside
from edgekernel.sim.agent import Agent
from edgekernel.sim.outside import OutsideLine
from edgekernel.sim.places import Actuator, Sensor, Switch, check_text, quantities, reader, writer
from edgekernel.sim.schedule import Schedule
from edgekernel.sim.wiring import Wiring

if TYPE_CHECKING:
    from edgekernel.sim.broker import SimBroker

_LONGEST_PRESS_S = 3600


class Bench(Process):
    """The simulated surroundings of a node. Its commands let a test or a person take part.

    It is the component `sim` of a simulated node: `call/sim/press` presses a button.
    """

    name = "sim"

    def __init__(self, backend: SimBackend, wiring: Mapping[str, Wiring]) -> None:
        self._backend = backend
        self._wiring = wiring
        self._fingers: dict[str, tuple[EventLike, ThreadLike]] = {}
        self._lines: dict[str, OutsideLine] = {}
        self._actuators: dict[str, list[Actuator]] = {}
        self._running = False
        self._schedule = Schedule(backend.clock, "sim:schedule", self._failed)
        self.worlds: dict[str, Any] = {}
        """The worlds around the node, by the names that the node file gives them."""
        self.agent: Agent | None = None
        """The agent that the bench is around, if it can end and be started again."""
        self.broker: SimBroker | None = None
        """The MQTT broker, if one takes part in the simulation."""
        self.disk: SimDisk | None = None
        """What the node writes to; None if that is no part of the simulation."""

    def start(self, ctx: Context) -> None:
        """Begin to make the calls of `later`; they go on when the agent is killed."""
        if not self._running:
            self._running = True
            self._schedule.start()

    def stop(self, ctx: Context) -> None:
        """Lift every finger, and make no more calls of `later`; but an agent that can be started
        again finds all as it is."""
        if self.agent is None:
            self.end()

    def end(self) -> None:
        """Lift every finger, and make no more calls of `later`."""
        self._running = False
        fingers = list(self._fingers.items())
        for device, (_, thread) in fingers:
            self._lift(device)
            thread.join()
        self._schedule.stop()

    @property
    def clock(self) -> Clock:
        """The clock of the simulated board."""
        return self._backend.clock

    @property
    def backend(self) -> SimBackend:
        """The simulated board."""
        return self._backend

    @property
    def wiring(self) -> Mapping[str, Wiring]:
        """What hangs on the board, by device."""
        return self._wiring

    def hang(self, device: str, wiring: Wiring) -> None:
        """Note what hangs on the board for a device that the node is given while it runs."""
        self._wiring = {**self._wiring, device: wiring}

    @property
    def agent_alive(self) -> bool:
        """Whether there is somebody to tell something."""
        return self.agent is None or self.agent.alive

    def cut_power(self) -> None:
        """Let everything outside of the board be without power."""
        self._power(False)

    def restore_power(self) -> None:
        """Let everything have power again; chips begin as at their start."""
        for wired in self._wiring.values():
            power_on = getattr(wired.chip, "power_on", None)
            if callable(power_on):
                power_on()
        self._power(True)

    def _power(self, there: bool) -> None:
        for actuators in self._actuators.values():
            for each in actuators:
                each.powered = there

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """Make a call so many seconds from now, as long as the node runs."""
        self._schedule.later(seconds, call)

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

    def line(self, name: str) -> OutsideLine:
        """Return the outside of a line: of the board ("GPIO17"), or of a device ("io:GPA3")."""
        if name not in self._lines:
            self._lines[name] = OutsideLine(name, self._found(name), self.later)
        return self._lines[name]

    def actuator(self, name: str, *, gain: float = 1.0, offset: float = 0.0) -> Actuator:
        """Return what an output does outside: of a device with one output line ("heater") or a
        motor ("drive"), of one of its lines ("drive.forward"), or of a quantity of its chip
        ("inverter.holding.1", "dimmer.share.3").

        Raises UnknownTargetError.
        """
        device, _, path = name.partition(".")
        actuator = Actuator(name, self._share(device, path), gain, offset)
        self._actuators.setdefault(device, []).append(actuator)
        return actuator

    def actuators_of(self, device: str) -> list[Actuator]:
        """Return through which the worlds see what a device does."""
        return list(self._actuators.get(device, ()))

    def sensor(
        self, name: str, *, gain: float = 1.0, offset: float = 0.0, text: str = "{:.6g}"
    ) -> Sensor:
        """Return a quantity of a device's simulated chip or far end: "room.temperature_c",
        "adc.a0_v", "meter.input.30" (an entry of a table), "scale.line" (a text).

        Raises UnknownTargetError, and InvalidValueError for a text that takes no number.
        """
        device, _, path = name.partition(".")
        put, kind = writer(f"the chip of {device}", self.chip(device), path)
        return Sensor(name, put, kind, gain, offset, check_text(text))

    def switch(self, name: str) -> Switch:
        """Return a contact on the input line of a device ("door"), or on one of its input lines
        ("encoder.a"). Raises UnknownTargetError."""
        device, _, parameter = name.partition(".")
        wired = self._wired(device)
        line = _choose(device, parameter, wired.inputs, "input")
        return Switch(name, self.line(line), wired.active_high)

    @command
    def press(self, device: str, seconds: float = 0.2) -> None:
        """Bring a device's input line to its active level for `seconds`, at most an hour.

        This is a finger on a button: it returns at once, and the release comes by itself.
        """
        if not 0 < seconds <= _LONGEST_PRESS_S:
            raise InvalidValueError(
                f"seconds: {seconds} is not allowed; above 0, at most {_LONGEST_PRESS_S} is"
            )
        clock = self.clock  # not the agent's: a finger stays when that is killed
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
        known = quantities(chip)
        if quantity not in known:
            raise UnknownTargetError(
                f"the chip of {device} has no quantity {quantity!r}{nearest(quantity, known)}"
            )
        if type(getattr(chip, quantity)) not in (int, float, bool):
            raise InvalidValueError(f"{quantity} of {device} is no number")
        setattr(chip, quantity, type(getattr(chip, quantity))(value))

    def _found(self, name: str) -> LineOutside:
        provider, _, provided = name.rpartition(":")
        if provider:
            outside: LineOutside = self.chip(provider).line(provided)
            return outside
        return self._backend.line(name)

    def _share(self, device: str, path: str) -> Callable[[], float]:
        """Return what reads the share of what a name means."""
        wired = self._wired(device)
        outputs = wired.outputs
        if not path and {"forward", "backward"} <= set(outputs):
            forward, backward = (self._share(device, each) for each in ("forward", "backward"))
            return lambda: forward() - backward()
        if path in outputs or (not path and len(outputs) == 1):
            line = self.line(_choose(device, path, outputs, "output"))
            active = wired.active_high

            def share() -> float:
                duty = line.duty
                return float(line.level is active) if duty is None else duty

            return share
        if path and wired.chip is not None:
            return reader(f"the chip of {device}", wired.chip, path)
        _choose(device, path, outputs, "output")
        raise UnknownTargetError(f"{device} has no output line")

    def _failed(self, error: BaseException) -> None:
        if not self.agent_alive:
            raise error
        self.ctx.emit(message.BackgroundError("sim: a call of later", *describe(error)))

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


def _choose(device: str, parameter: str, lines: Mapping[str, str], what: str) -> str:
    """Return the line of a parameter, or the only one. Raises UnknownTargetError."""
    if parameter in lines:
        return lines[parameter]
    if not lines:
        raise UnknownTargetError(f"{device} has no {what} line")
    if parameter:
        raise UnknownTargetError(
            f"{device} has no {what} line {parameter!r}{nearest(parameter, dict(lines))}"
        )
    if len(lines) > 1:
        names = ", ".join(f"{device}.{each}" for each in sorted(lines))
        raise UnknownTargetError(f"{device} has {len(lines)} {what} lines: name one of {names}")
    return next(iter(lines.values()))
