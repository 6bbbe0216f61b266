"""What the outputs of one runtime share (promise P8): threads on which drivers may hang."""

from __future__ import annotations

from edgekernel import Device, Limits, Process, Runtime, effect, output, reading
from edgekernel.core.workers import MAX_WORKERS
from edgekernel.sim import SimClock, try_seeds
from tests.core.starved import StarvedClock
from tests.core.working import Simulation

FOR_EVER_S = 1e6


class Relay(Device):
    """A relay whose driver hangs, while `hangs`, when it is to go off."""

    power = output(bool, safe=False)

    def __init__(self, id: str, limits: Limits | None = None) -> None:
        super().__init__(id)
        self.power.limits = limits
        self.hangs = self.level = False

    @power.drive
    def drive(self, value: bool) -> bool:
        if self.hangs and not value:
            self.ctx.clock.sleep(FOR_EVER_S)
        self.level = value
        return value


class Room(Device):
    temperature = reading(float, unit="C")


class Thermostat(Process):
    name = "thermostat"

    def __init__(self, heater: Relay, room: Room) -> None:
        self.heater, self.room = heater, room

    @effect
    def control(self) -> None:
        self.heater.power.set(self.room.temperature.value < 20)


def attached(runtime: Runtime, *devices: Device) -> None:
    for device in devices:
        runtime.attach_device(device)


def test_a_driver_that_hangs_in_a_timer_keeps_no_effect_waiting() -> None:
    """P2, P8: while a driver hangs that `max_on` has called, effects drive other outputs, in
    whichever order threads run."""

    def program(clock: SimClock) -> None:
        runtime = Runtime(clock=clock, shutdown_limit_s=1.0)
        pump, heater, room = Relay("pump", Limits(max_on_s=1.0)), Relay("heater"), Room("room")
        attached(runtime, pump, heater, room)
        runtime.register(Thermostat(heater, room))
        with runtime:
            room.temperature.update(15.0)
            pump.hangs = True
            pump.power.set(True)
            clock.advance(2.0)
            assert (pump.level, heater.level) == (True, True)
            room.temperature.update(95.0)
            assert heater.level is False

    assert try_seeds(program, range(10)) == 10


def test_many_that_hang_keep_no_lease_from_ending(sim: Simulation) -> None:
    """P8: however many drivers hang, the lease of another output ends."""
    runtime = sim.runtime(shutdown_limit_s=1.0)
    hung = [Relay(f"relay{n}", Limits(lease_s=1.0)) for n in range(3 * MAX_WORKERS)]
    heater = Relay("heater", Limits(lease_s=2.0))
    attached(runtime, heater, *hung)
    runtime.boot()
    for relay in (heater, *hung):
        relay.power.set(True)
        relay.hangs = relay is not heater
    sim.advance(1.5)
    assert (heater.level, hung[0].level) == (True, True)
    sim.advance(1.0)
    assert (heater.level, hung[0].level) == (False, True)


def test_without_a_thread_a_lease_ends_too() -> None:
    """P8: if no thread can be started, the driver is called on the thread of the timers."""
    with StarvedClock() as clock:
        runtime = Runtime(clock=clock)
        heater = Relay("heater", Limits(lease_s=1.0))
        attached(runtime, heater)
        with runtime:
            heater.power.set(True)
            clock.starved = "outputs"
            clock.advance(2.0)
            assert heater.level is False
