"""Bus load: whether the buses of a node can keep up with what is polled on them.

It is measured: the node's devices run on the simulated board in simulated time, and a meter at
the boundary adds up what each poll takes. That is the time on the wire at the clock of the bus,
without clock stretching, and what the driver itself waits for, such as a conversion. Not in it:
writes to outputs, the processor's own time, and other processes on the bus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgekernel.backends.metered import Meter, MeteredBackend
from edgekernel.backends.sim import SimBackend
from edgekernel.core.clock import Clock
from edgekernel.core.device import Device
from edgekernel.core.errors import describe
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import BusAddress, OneWireAddress, SpiAddress
from edgekernel.node.assemble import assemble
from edgekernel.node.devices_alone import devices_alone
from edgekernel.node.plan import Plan
from edgekernel.node.planned import PlannedDevice
from edgekernel.node.simulate import plug_chips
from edgekernel.sim.clock import SimClock

_MINUTE_S = 60.0
_ENOUGH = 5
"""Polls after which the mean is known: but for the first, which sets a chip up, they are alike."""
_ONE_POLL_S = 30.0


@dataclass(frozen=True, slots=True)
class PollCost:
    """What the polls of one device take."""

    device: str
    every_s: float
    wire_s: float
    """Seconds on the wire, mean of a poll."""
    waiting_s: float
    """Seconds that the driver waits in a poll while no other device of the bus is polled."""

    @property
    def total_s(self) -> float:
        """Seconds that a poll takes."""
        return self.wire_s + self.waiting_s

    @property
    def utilisation(self) -> float:
        """Its share of the bus's time: 1 is all of it."""
        return self.total_s / self.every_s


@dataclass(frozen=True, slots=True)
class BusLoad:
    """How busy one bus is."""

    bus: str
    speed_hz: int | None
    """The clock of an I²C bus; of the others the devices decide."""
    costs: tuple[PollCost, ...]
    unknown: Mapping[str, str]
    """The devices that could not be measured, and why."""

    @property
    def utilisation(self) -> float:
        """The share of the time in which the bus is busy: above 1 its devices are polled late."""
        return sum(cost.utilisation for cost in self.costs)

    def shortest_s(self, cost: PollCost) -> float | None:
        """Return how often a device could be polled with the others as they are; None: never."""
        left = 1 - sum(each.utilisation for each in self.costs if each is not cost)
        return cost.total_s / left if left > 0 else None


@dataclass
class _Polls:
    """The polls of one device, each with its seconds on the wire and in all."""

    device: Device
    done: list[tuple[float, float]] = field(default_factory=list)
    failure: str = ""

    def meter(self, meter: Meter, clock: Clock) -> None:
        """Measure each poll from now on."""
        poll = self.device.poll

        def metered() -> None:
            meter.take()
            begun_s = clock.monotonic()
            try:
                poll()
            except Exception as error:
                self.failure = describe(error)[0]
                raise
            self.done.append((meter.take(), clock.monotonic() - begun_s))

        # The instance's own, before the class's: the poller calls what it finds.
        self.device.poll = metered  # type: ignore[method-assign]

    def cost(self, *, waits: bool) -> PollCost | None:
        """Return the mean of the polls but the first; None if none has succeeded."""
        polls = self.done[1:] or self.done
        if not polls:
            return None
        wire_s = sum(wire for wire, _ in polls) / len(polls)
        waiting_s = sum(total for _, total in polls) / len(polls) if waits else 0.0
        return PollCost(self.device.id, self.device.every, wire_s, waiting_s)


def measure_load(plan: Plan) -> tuple[BusLoad, ...]:
    """Poll the devices of a plan for a simulated minute; return the load of each bus.

    The application and the world stay out of it. Raises ImportError without the `sim` extra.
    """
    clock = SimClock()
    meter = Meter(clock)
    backend = SimBackend(clock)
    simulated = devices_alone(plan)
    try:
        metered = MeteredBackend(backend, meter, plan.speed_hz)
        runtime = assemble(simulated, metered, clock, Runtime)
        plug_chips(simulated, backend, clock)
        polls = {
            id: _Polls(device)
            for id, device in runtime.devices.items()
            if device.polled and id in _buses(plan)
        }
        for each in polls.values():
            each.meter(meter, clock)
        if polls:
            _run(runtime, clock, polls.values())
    finally:
        backend.close()
        clock.close()
    return tuple(_load(plan, bus, polls) for bus in dict.fromkeys(_buses(plan).values()))


def _run(runtime: Runtime, clock: SimClock, polls: Iterable[_Polls]) -> None:
    with runtime:
        clock.run_until(lambda: all(len(each.done) >= _ENOUGH for each in polls), _MINUTE_S)
        for each in polls:  # those that are polled more rarely are asked to
            while len(each.done) < _ENOUGH and not each.failure and _ask(clock, each):
                pass


def _ask(clock: SimClock, polls: _Polls) -> bool:
    """Let a device be polled once more; say whether it was."""
    done = len(polls.done)
    polls.device.poll_at(clock.monotonic_ns())
    return clock.run_until(lambda: len(polls.done) > done, _ONE_POLL_S)


def _buses(plan: Plan) -> dict[str, str]:
    """Return the bus of each device that is on one."""
    found: dict[str, str] = {}
    for device in plan.devices:
        for address in device.addresses.values():
            if isinstance(address, SpiAddress):  # its chip selects share the wires
                found[device.id] = address.name.partition(".")[0]
            elif isinstance(address, BusAddress | OneWireAddress):
                found[device.id] = address.name
    return found


def _load(plan: Plan, bus: str, polls: Mapping[str, _Polls]) -> BusLoad:
    costs, unknown = [], {}
    on_bus = [device for device in plan.devices if _buses(plan).get(device.id) == bus]
    for device in on_bus:
        polled = polls.get(device.id)
        if polled is None:
            continue
        cost = polled.cost(waits=_waits_for_others(device, polled.device, bus))
        if cost is None:
            unknown[device.id] = _why_unknown(device, polled)
        else:
            costs.append(cost)
    speed_hz = plan.speed_hz(bus) if bus in plan.board.buses else None
    return BusLoad(bus, speed_hz, tuple(costs), unknown)


def _waits_for_others(planned: PlannedDevice, device: Device, bus: str) -> bool:
    """Say whether the others of a bus wait while a poll of this device waits.

    They do if one poller polls them all, and on 1-Wire, where a conversion holds the bus.
    """
    shared = device.poll_group.partition(".")[0] == bus
    return shared or any(isinstance(a, OneWireAddress) for a in planned.addresses.values())


def _why_unknown(planned: PlannedDevice, polls: _Polls) -> str:
    if getattr(planned.driver, "simulated", None) is None:
        return "its driver has no simulated chip"
    return polls.failure or "it was not polled"
