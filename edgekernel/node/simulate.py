"""A node on the simulated board: the same plan, with chips plugged in and a world around."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edgekernel.backends.backend import Backend
from edgekernel.backends.sim import SimBackend
from edgekernel.core.clock import Clock
from edgekernel.core.errors import ConfigError
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
from edgekernel.node.assemble import assemble, load_named
from edgekernel.node.plan import Plan
from edgekernel.node.planned import PlannedDevice
from edgekernel.sim.bench import Bench, Wiring, WorldService

R = TypeVar("R", bound=Runtime)


def assemble_simulated(
    plan: Plan,
    clock: Clock,
    kind: type[R],
    board: SimBackend | None = None,
    *,
    around: Callable[[Backend], Backend] = lambda backend: backend,
) -> tuple[R, Bench]:
    """Make a runtime whose drivers meet simulated chips, lines and ports; nothing starts.

    The bench is one of its parts (the component `sim`), and so is the world, if `[sim]` names
    one. It runs on `board`, or on a board of its own; `around` may return another backend around
    that, for the drivers. Raises what `assemble` raises, and ConfigError if the world cannot be
    made.
    """
    backend = SimBackend(clock) if board is None else board
    runtime = assemble(plan, around(backend), clock, kind)
    bench = plug_chips(plan, backend, clock)
    runtime.register(bench)
    if plan.document.sim.world is not None:
        runtime.register(WorldService(_world(plan, plan.document.sim.world, bench)))
    return runtime, bench


def plug_chips(plan: Plan, backend: SimBackend, clock: Clock) -> Bench:
    """Put the simulated chips of a plan's devices where the devices look for them."""
    wiring = {device.id: _wire(device, backend) for device in plan.devices}
    bench = Bench(backend, wiring)
    for wired in wiring.values():
        if wired.chip is not None and hasattr(wired.chip, "wire"):
            wired.chip.wire({key: bench.line(name) for key, name in wired.lines.items()}, clock)
    return bench


def _wire(device: PlannedDevice, backend: SimBackend) -> Wiring:
    made: Any = getattr(device.driver, "simulated", None)
    chip = None if made is None else made()
    lines: dict[str, str] = {}
    for parameter, address in device.addresses.items():
        if isinstance(address, LineAddress | PwmAddress | ProvidedLine):
            lines[parameter] = address.name
        elif chip is not None:
            _plug(backend, address, device.settings, chip)
    settings = device.settings
    active_high = settings.get("active_high", not settings.get("active_low", False))
    return Wiring(lines, bool(active_high), chip)


def _plug(
    backend: SimBackend,
    address: BusAddress | PortAddress | SpiAddress | OneWireAddress,
    settings: Mapping[str, Any],
    chip: Any,
) -> None:
    match address:
        case BusAddress():
            backend.bus(address.name).plug(settings["address"], chip)
        case PortAddress():
            backend.port(address.name).plug(chip)
        case SpiAddress():
            backend.spi(address.name).plug(chip)
        case OneWireAddress():
            chip.rom = settings.get("rom") or chip.rom
            backend.onewire(address.name).plug(chip)


def _world(plan: Plan, name: str, bench: Bench) -> Any:
    module, _, attribute = name.partition(":")
    found = getattr(load_named(plan, "sim.world", module), attribute, None)
    if found is None or not callable(getattr(found, "step", None)):
        raise ConfigError(
            f'{plan.path.name}: sim.world: "{name}" is no class with a method step(seconds); '
            'write it as "module:Class"'
        )
    try:
        return found(bench)
    except Exception as error:
        raise ConfigError(
            f"{plan.path.name}: sim.world: {name} cannot be made: {type(error).__name__}: {error}"
        ) from error
