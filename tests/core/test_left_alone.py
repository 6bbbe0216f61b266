"""Outputs whose controller is taken down fall back, unless another one goes on (promise P8)."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel import (
    Context,
    Effect,
    Limits,
    Process,
    Runtime,
    Service,
    Signal,
    effect,
    requires,
)
from edgekernel.core.service import RestartPolicy
from tests.core.driving import Plant
from tests.core.parts import Sensor, Simulation


class Thermostat(Process):
    """Keeps the pump on, by an effect of its class and one of an effect that it has made."""

    name = "thermostat"
    plant: Plant = requires(Plant)
    sensor: Sensor = requires(Sensor)

    def __init__(self, wanted: Signal[bool]) -> None:
        self.wanted = wanted

    def start(self, ctx: Context) -> None:
        """Make an effect that makes another one, which drives."""
        drive = lambda: self.plant.valve.set(float(self.wanted.get()))  # noqa: E731
        Effect(lambda: Effect(drive))

    @effect
    def drive(self) -> None:
        """Set the pump as it is wanted."""
        self.plant.pump.set(self.wanted.get())


def booted(sim: Simulation, plant: Plant, *parts: Any) -> Runtime:
    """Return a runtime in which the plant is on."""
    runtime = sim.runtime()
    for each in (plant, Sensor("sensor"), *parts):
        runtime.register(each)
    runtime.boot()
    return runtime


def is_on(plant: Plant) -> tuple[bool, bool]:
    """Say what pump and valve do."""
    return plant.hardware["pump"], plant.hardware["valve"] == 1.0


@pytest.mark.parametrize("gone", ["sensor", "thermostat"])
def test_it_falls_back(sim: Simulation, gone: str) -> None:
    """With the controller, or with a sensor that it needs, what it has set goes safe."""
    plant, wanted = Plant(), Signal(True)
    runtime = booted(sim, plant, Thermostat(wanted))
    assert is_on(plant) == (True, True)
    runtime.hot_remove(gone, force=True)
    assert is_on(plant) == (False, False)
    if gone == "sensor":
        runtime.hot_add(Sensor("sensor"))
        assert is_on(plant) == (True, True)


def test_fallback_hold_stays(sim: Simulation) -> None:
    """An output that is to hold what it has when its controller fails does so here, too."""
    plant = Plant(pump=Limits(fallback="hold"))
    runtime = booted(sim, plant, Thermostat(Signal(True)))
    runtime.hot_remove("thermostat")
    assert is_on(plant) == (True, False)


def test_a_successor_goes_on(sim: Simulation) -> None:
    """P12: a new version takes over what the old one has set; nothing is switched off between."""
    plant, wanted = Plant(), Signal(True)
    runtime = booted(sim, plant, Thermostat(wanted))
    plant.driven.clear()
    runtime.hot_update(Thermostat(wanted))
    assert is_on(plant) == (True, True)
    assert all(value for _, value in plant.driven)


class Lid(Process):
    """The thermostat's successor, which drives the valve alone."""

    name = "thermostat"
    plant: Plant = requires(Plant)

    @effect
    def drive(self) -> None:
        """Open the valve."""
        self.plant.valve.set(1.0)


def test_a_successor_that_drives_something_else(sim: Simulation) -> None:
    """What the new version does not drive falls back."""
    plant = Plant()
    runtime = booted(sim, plant, Thermostat(Signal(True)))
    runtime.hot_update(Lid())
    assert is_on(plant) == (False, True)
    runtime.hot_remove("thermostat")
    assert is_on(plant) == (False, False)


class Broken(Process):
    """A version that opens the valve and cannot start."""

    name = "thermostat"
    plant: Plant = requires(Plant)

    def start(self, ctx: Context) -> None:
        """Open the valve, and fail."""
        Effect(lambda: self.plant.valve.set(1.0))
        raise ValueError("no")


def test_a_version_that_is_refused(sim: Simulation) -> None:
    """P12: what a version that could not start has switched on does not stay on."""
    plant = Plant()
    runtime = booted(sim, plant, Lamp())
    with pytest.raises(ValueError, match="no"):
        runtime.hot_update(Broken())
    assert is_on(plant) == (True, False)


class Lamp(Process):
    """Drives the pump alone."""

    name = "thermostat"
    plant: Plant = requires(Plant)

    @effect
    def drive(self) -> None:
        """Switch the pump on."""
        self.plant.valve.set(0.0)
        self.plant.pump.set(True)


class Failing(Service):
    """Sets the pump in an effect, and fails for good in its third tick."""

    name = "failing"
    interval = 1.0
    restart: RestartPolicy = "no"
    plant: Plant = requires(Plant)
    ticks = 0

    @effect
    def drive(self) -> None:
        """Set the pump."""
        self.plant.pump.set(True)

    def tick(self, ctx: Context) -> None:
        """Fail the third time."""
        self.ticks += 1
        if self.ticks == 3:
            raise ValueError("no more")


def test_a_service_that_is_given_up(sim: Simulation) -> None:
    """What the effects of a service have set goes safe when it is not started again."""
    plant = Plant()
    runtime = booted(sim, plant, Failing())
    sim.advance(1.5)
    assert plant.hardware["pump"] is True
    sim.advance(2.0)
    assert runtime.status()["services"]["failing"]["state"] == "failed"
    assert plant.hardware["pump"] is False


class Forgetful(Failing):
    """Fails once, and does not want the pump on when it starts again."""

    restart: RestartPolicy = "on-failure"
    wanted = True

    def start(self, ctx: Context) -> None:
        """Want it on at the first start."""
        self.wanted = self.ticks == 0

    @effect
    def drive(self) -> None:
        """Set the pump, if that is wanted."""
        if self.wanted:
            self.plant.pump.set(True)


def test_a_service_that_starts_again(sim: Simulation) -> None:
    """While a service waits for its restart nobody drives, and it need not drive again."""
    plant = Plant()
    runtime = booted(sim, plant, Forgetful())
    sim.advance(1.5)
    assert plant.hardware["pump"] is True
    sim.advance(60.0)
    assert runtime.status()["services"]["failing"]["restarts"] == 1
    assert plant.hardware["pump"] is False


def test_a_service_that_is_stopped(sim: Simulation) -> None:
    """So does what a service drives that somebody stops."""
    plant = Plant()
    runtime = booted(sim, plant, Forgetful())
    sim.advance(1.5)
    runtime.services.stop("failing")
    assert plant.hardware["pump"] is False
