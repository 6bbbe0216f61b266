"""A node on the simulated board: the same plan, with chips plugged in and a world around."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from edgekernel.backends.backend import Backend
from edgekernel.backends.sim import SimBackend, SimDisk
from edgekernel.core.clock import Clock
from edgekernel.core.errors import ConfigError, InvalidValueError
from edgekernel.core.ownership import bereave
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    ProvidedLine,
    PwmAddress,
    SpiAddress,
)
from edgekernel.hal.gpio import DigitalInput
from edgekernel.node.assemble import assemble
from edgekernel.node.plan import Plan
from edgekernel.node.planned import PlannedDevice
from edgekernel.node.recovery import PlannedRecovery
from edgekernel.node.worlds import make_worlds
from edgekernel.sim.agent import Agent
from edgekernel.sim.bench import Bench
from edgekernel.sim.faults import AroundBench, Fault, FaultPlayer
from edgekernel.sim.sealing import seal
from edgekernel.sim.wiring import Socket, Wiring
from edgekernel.sim.worlds.service import World, Worlds, WorldService

if TYPE_CHECKING:
    from edgekernel.sim.broker import SimBroker

R = TypeVar("R", bound=Runtime)


def assemble_simulated(
    plan: Plan,
    clock: Clock,
    kind: type[R],
    board: SimBackend | None = None,
    *,
    around: Callable[[Backend], Backend] = lambda backend: backend,
    faults: Sequence[Fault] = (),
    seed: int = 0,
    disk: SimDisk | None = None,
    broker: SimBroker | None = None,
) -> tuple[R, Bench]:
    """Make a runtime whose drivers meet simulated chips, lines and ports; nothing starts.

    The bench is one of its parts (the component `sim`), and so are the worlds, if `[sim]` names
    some. It runs on `board`, or on a board of its own; `around` may return another backend around
    that, for the drivers. `faults` are played by the component `faults`, with `seed` for what
    chance decides. With a `disk` it remembers there what the node file says; those of MQTT are with
    `broker`, and whoever gives one connects the node to it (`edgekernel.mqtt.simulated`). Raises
    what `assemble` raises, and ConfigError if a world cannot be made or a fault cannot be.
    """
    backend = SimBackend(clock) if board is None else board
    runtime = assemble_inside(plan, around(backend), clock, kind, disk)
    outside = make_outside(plan, backend, faults, seed, disk, broker=broker)
    outside.join(runtime)
    return runtime, outside.bench


def assemble_inside(
    plan: Plan, backend: Backend, clock: Clock, kind: type[R], disk: SimDisk | None
) -> R:
    """Make what a simulated node has in common with a real one. Raises what `assemble` raises."""
    return assemble(plan, backend, clock, kind, remember=disk is not None, disk=disk)


@dataclass
class Outside:
    """What is around a simulated node; it is there whether the agent is or not."""

    bench: Bench
    worlds: Worlds
    player: FaultPlayer | None
    service: WorldService | None = None
    """What steps the worlds while an agent runs."""

    def join(self, runtime: Runtime) -> None:
        """Become parts of a runtime that has not booted."""
        runtime.register(self.bench)
        if self.bench.worlds:
            at_s = None if self.service is None else self.service.at_s
            self.service = WorldService(self.worlds, at_s)
            runtime.register(self.service)
        if self.player is not None:
            runtime.register(self.player)

    def leave(self) -> None:
        """Be parts of no runtime: the one they were in has died."""
        for part in (self.bench, self.player):
            bereave(part)


def make_outside(
    plan: Plan,
    backend: SimBackend,
    faults: Sequence[Fault] = (),
    seed: int = 0,
    disk: SimDisk | None = None,
    agent: Agent | None = None,
    broker: SimBroker | None = None,
) -> Outside:
    """Make what is around a node whose lines and buses `assemble` has found on the board.

    Raises ConfigError if a world cannot be made or a fault cannot be.
    """
    bench = plug_chips(plan, backend, backend.clock)
    bench.disk, bench.agent, bench.broker = disk, agent, broker
    bench.worlds = make_worlds(plan, bench)
    player = FaultPlayer(AroundBench(bench), faults, seed) if faults else None
    return Outside(bench, _together(plan, bench.worlds), player)


def _together(plan: Plan, worlds: Mapping[str, World]) -> Worlds:
    """Return the worlds of a plan as one."""
    try:
        return Worlds(worlds)
    except InvalidValueError as error:
        raise ConfigError(f"{plan.path.name}: sim: {error}") from None


def plug_chips(plan: Plan, backend: SimBackend, clock: Clock) -> Bench:
    """Put the simulated chips of a plan's devices where the devices look for them."""
    wiring = {device.id: _wire(device, backend) for device in plan.devices}
    bench = Bench(backend, wiring)
    for wired in wiring.values():
        if wired.chip is not None and hasattr(wired.chip, "wire"):
            wired.chip.wire({key: bench.line(name) for key, name in wired.lines.items()}, clock)
    for id, wired in wiring.items():
        if wired.chip is not None:
            seal(wired.chip, id)
    for name, recovery in plan.recoveries.items():
        _wire_bus(backend, name, recovery)
    return bench


def plug_more(plan: Plan, bench: Bench, ids: Iterable[str]) -> None:
    """Put chips where those devices of a plan look for them that a running node is given.

    A device that looks where it did before finds the chip that was there.
    """
    wanted = set(ids)
    for device in plan.devices:
        before = bench.wiring.get(device.id)
        if device.id not in wanted:
            continue
        wired = _wire(device, bench.backend, anew=False)
        if before is not None and before.chip is not None and _is_same(before, wired):
            wired = replace(wired, chip=before.chip, socket=before.socket)
        elif wired.socket is not None:
            wired.socket.unplug()
            wired.socket.plug()
        if wired.chip is not None and hasattr(wired.chip, "wire"):
            lines = {key: bench.line(name) for key, name in wired.lines.items()}
            wired.chip.wire(lines, bench.clock)
        bench.hang(device.id, wired)


def _is_same(before: Wiring, wired: Wiring) -> bool:
    """Say whether a device of the same kind looks at the same place."""
    one, other = before.socket, wired.socket
    if one is None or other is None or before.lines != wired.lines:
        return False
    place = (one.place, one.address) == (other.place, other.address)
    return place and isinstance(before.chip, type(wired.chip))


def _wire_bus(backend: SimBackend, name: str, recovery: PlannedRecovery) -> None:
    """Wire the lines of a recovery to the bus and to the supply of its chips."""
    bus = backend.bus(name)
    if recovery.scl is not None and recovery.sda is not None:
        bus.join(backend.line(recovery.scl.name), backend.line(recovery.sda.name))
    if recovery.power is None:
        return

    def switched(level: bool) -> None:
        bus.powered = level == recovery.active_high

    power = backend.line(recovery.power.name)
    switched(power.level)
    power.watch(switched)


def _wire(device: PlannedDevice, backend: SimBackend, *, anew: bool = True) -> Wiring:
    made: Any = getattr(device.driver, "simulated", None)
    chip = None if made is None else made()
    lines: dict[str, str] = {}
    socket: Socket | None = None
    for parameter, address in device.addresses.items():
        if isinstance(address, LineAddress | PwmAddress | ProvidedLine):
            lines[parameter] = address.name
        elif chip is not None:
            socket = _socket(backend, address, device.settings, chip)
            if anew:
                socket.plug()
    settings = device.settings
    active_high = settings.get("active_high", not settings.get("active_low", False))
    inputs = {key: line for key, line in lines.items() if device.kinds[key] is DigitalInput}
    outputs = {key: line for key, line in lines.items() if key not in inputs}
    return Wiring(lines, bool(active_high), chip, inputs, outputs, socket)


def _socket(
    backend: SimBackend,
    address: BusAddress | PortAddress | SpiAddress | OneWireAddress,
    settings: Mapping[str, Any],
    chip: Any,
) -> Socket:
    """Return where a chip is plugged in."""
    match address:
        case BusAddress():
            bus, at = backend.bus(address.name), settings["address"]
            return Socket(bus, at, partial(bus.plug, at, chip), partial(bus.unplug, at))
        case PortAddress():
            port = backend.port(address.name)
            return Socket(port, None, partial(port.plug, chip), port.unplug)
        case SpiAddress():
            select = backend.spi(address.name)
            return Socket(select, None, partial(select.plug, chip), select.unplug)
        case OneWireAddress():
            chip.rom = settings.get("rom") or chip.rom
            onewire = backend.onewire(address.name)
            unplug = partial(onewire.unplug, chip.rom)
            return Socket(onewire, None, partial(onewire.plug, chip), unplug)
