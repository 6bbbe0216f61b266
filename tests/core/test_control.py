"""Outputs fall back when the handler, command or tick fails that has set them (promise P8)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgekernel import (
    Context,
    Interface,
    Limits,
    Message,
    Process,
    RefusedError,
    Runtime,
    Service,
    command,
    message,
    on,
    requires,
)
from edgekernel.core.errors import LifecycleError
from edgekernel.core.service import RestartPolicy
from tests.core.driving import Plant
from tests.core.parts import Simulation


class Measured(Message):
    """A value for the handlers here: below 0 it is more than they can do."""

    value: float = 0.0


def pump(plant: Plant) -> bool:
    """Say what the hardware of the pump does."""
    return bool(plant.hardware.get("pump", False))


def booted(sim: Simulation, *parts: Any) -> Runtime:
    """Return a runtime that runs these parts."""
    runtime = sim.runtime()
    for part in parts:
        runtime.register(part)
    runtime.boot()
    return runtime


class Drain(Process):
    """Pumps while much is measured, and opens the valve as far as it is told."""

    name = "drain"
    plant: Plant = requires(Plant)

    @on(Measured)
    def pump(self, event: Any) -> None:
        """Set the pump; fail below 0, before it is set."""
        if event.payload.value < 0:
            raise ValueError("no such level")
        if event.payload.value < 100:
            self.plant.pump.set(event.payload.value > 10)

    @on(Measured)
    def open(self, event: Any) -> None:
        """Open the valve."""
        self.plant.valve.set(0.5)


class Unable(Drain):
    """A version that sets outputs, and cannot start."""

    def start(self, ctx: Context) -> None:
        """Set one that the old version has set too, and another one."""
        self.plant.pump.set(True)
        self.plant.steps.set(5)
        raise ValueError("not today")


class TestHandlers:
    """A handler that raises does not leave on what it has switched on."""

    def test_it_falls_back(self, sim: Simulation) -> None:
        """What that handler has set does, not what another one of the same part has."""
        plant = Plant()
        runtime = booted(sim, plant, Drain())
        runtime.emit(Measured(20.0))
        assert pump(plant)
        runtime.emit(Measured(-1.0))
        assert not pump(plant)
        assert plant.valve.value == 0.5
        runtime.emit(Measured(20.0))
        assert pump(plant)

    def test_once(self, sim: Simulation) -> None:
        """What somebody else has set after that is not touched by the next failure."""
        plant = Plant()
        runtime = booted(sim, plant, Drain())
        runtime.emit(Measured(20.0))
        runtime.emit(Measured(-1.0))
        plant.pump.set(True)
        runtime.emit(Measured(-1.0))
        assert pump(plant)

    def test_one_that_was_subscribed(self, sim: Simulation) -> None:
        """A function that an application has subscribed is a handler like any other."""
        plant = Plant()
        runtime = booted(sim, plant)

        def drive(event: Any) -> None:
            plant.pump.set(True)
            if event.payload.value < 0:
                raise ValueError("no such level")

        runtime.subscribe(Measured, drive)
        runtime.emit(Measured(1.0))
        assert pump(plant)
        runtime.emit(Measured(-1.0))
        assert not pump(plant)

    def test_what_is_refused_is_not_noted(self, sim: Simulation) -> None:
        """A handler that could not set an output takes nothing from who has set it."""
        plant = Plant()
        runtime = booted(sim, plant)
        runtime.subscribe(Measured, lambda event: plant.valve.set(7.0))
        plant.valve.set(0.5)
        runtime.emit(Measured())
        assert plant.valve.value == 0.5
        assert len(runtime.faults.kept) == 1

    def test_once_for_its_part_too(self, sim: Simulation) -> None:
        """What has fallen back already is not the part's any more."""
        plant = Plant()
        runtime = booted(sim, plant, Drain())
        runtime.emit(Measured(20.0))
        runtime.emit(Measured(-1.0))
        plant.pump.set(True)
        runtime.hot_remove("drain")
        assert (pump(plant), plant.valve.value) == (True, 0.0)

    @pytest.mark.parametrize("starts", [True, False])
    def test_another_version(self, sim: Simulation, starts: bool) -> None:
        """It is a new handler that fails, or the old one again: of what there was before the update
        too. A version that cannot start takes nothing from the old one."""
        plant = Plant()
        runtime = booted(sim, plant, Drain())
        runtime.emit(Measured(20.0))
        if starts:
            runtime.hot_update(Drain())
        else:
            with pytest.raises(ValueError, match="not today"):
                runtime.hot_update(Unable())
        assert (pump(plant), plant.valve.value, plant.steps.value) == (True, 0.5, 0)
        runtime.emit(Measured(-1.0))
        assert not pump(plant)

    def test_hold(self, sim: Simulation) -> None:
        """An output whose fallback is to hold stays as it is."""
        plant = Plant(pump=Limits(fallback="hold"))
        runtime = booted(sim, plant, Drain())
        runtime.emit(Measured(20.0))
        runtime.emit(Measured(-1.0))
        assert pump(plant)

    def test_a_fallback_that_fails_keeps_no_other_from_it(self, sim: Simulation) -> None:
        """It is reported, and tried again later as every safe value is."""
        plant, other = Plant(), Plant("other")
        runtime = booted(sim, plant, other)

        def drive(event: Any) -> None:
            plant.pump.set(True)
            other.pump.set(True)
            plant.failures = [OSError("no answer")] * 3
            raise ValueError("no such level")

        runtime.subscribe(Measured, drive)
        runtime.emit(Measured())
        assert (pump(plant), pump(other)) == (True, False)
        assert any("fallback" in each.where for each in runtime.faults.kept)
        sim.advance(60)
        assert not pump(plant)


class Doser(Process):
    """Has a command of each kind that switches the pump on, and then does not end well."""

    name = "doser"
    plant: Plant = requires(Plant)

    @command
    def light(self) -> None:
        """Switch the lamp on, and end well."""
        self.plant.valve.set(1.0)

    @command
    def turn(self) -> None:
        """Fail as a turn."""
        self.plant.pump.set(True)
        raise ValueError("empty")

    @command
    def refuse(self) -> None:
        """Do something, and refuse then."""
        self.plant.pump.set(True)
        raise RefusedError("empty")

    @command(blocking=True)
    def worker(self) -> None:
        """Fail on a worker thread."""
        self.plant.pump.set(True)
        raise ValueError("empty")

    @command
    async def loop(self) -> None:
        """Fail on the event loop."""
        self.plant.pump.set(True)
        await asyncio.sleep(1)
        raise ValueError("empty")

    @command(timeout_s=10.0)
    async def dose(self) -> None:
        """Pump for longer than there is time."""
        await self.long()

    @command
    async def careful(self) -> None:
        """Pump, and clean up when it is cancelled."""
        self.plant.pump.set(True)
        try:
            await asyncio.sleep(25)
        finally:
            await asyncio.sleep(0.1)

    @command(blocking=True)
    def late(self) -> None:
        """Wait for ten seconds, and pump then."""
        plant = self.plant
        plant.clock.sleep(10)
        plant.pump.set(True)

    @command(timeout_s=100.0)
    async def long(self) -> None:
        """Pump for a minute."""
        self.plant.pump.set(True)
        await asyncio.sleep(60)
        self.plant.pump.set(False)


class Stuck(Doser):
    """A part whose stop hangs."""

    def stop(self, ctx: Context) -> None:
        """Wait for ever."""
        ctx.clock.sleep(1e6)


class TestCommands:
    """A command that fails takes back what it has set, and nothing else."""

    @pytest.mark.parametrize("name", ["turn", "refuse", "worker", "loop"])
    def test_it_falls_back(self, sim: Simulation, name: str) -> None:
        """Wherever it runs; what an earlier one has set that has ended well stays."""
        plant = Plant()
        runtime = booted(sim, plant, Doser())
        runtime.invoke("doser.light")
        call = runtime.invoke_nowait(f"doser.{name}")
        sim.advance(5)
        assert call.done
        assert str(call.error) == "empty"
        assert True in [value for _, value in plant.driven]
        assert not pump(plant)
        assert plant.valve.value == 1.0

    def test_one_that_is_cancelled(self, sim: Simulation) -> None:
        """As its time is over, in the middle of it."""
        plant = Plant()
        runtime = booted(sim, plant, Doser())
        runtime.invoke_nowait("doser.dose")
        sim.advance(5)
        assert pump(plant)
        sim.advance(10)
        assert not pump(plant)

    def test_one_that_ends_well(self, sim: Simulation) -> None:
        """It has switched the pump off itself, once."""
        plant = Plant()
        runtime = booted(sim, plant, Doser())
        call = runtime.invoke_nowait("doser.long")
        sim.advance(90)
        assert call.error is None
        assert [value for _, value in plant.driven if value in (True, False)][-2:] == [True, False]

    def test_an_update_comes_between(self, sim: Simulation) -> None:
        """It is cancelled by the update, and takes its time: it lets go all the same."""
        plant = Plant()
        runtime = booted(sim, plant, Doser())
        runtime.invoke_nowait("doser.careful")
        sim.advance(5)
        assert pump(plant)
        runtime.hot_update(Doser())
        sim.advance(200)
        assert not pump(plant)

    def test_it_goes_on_after_its_part(self, sim: Simulation) -> None:
        """What runs on a worker thread goes on to its end; nobody answers for what it sets then."""
        plant = Plant()
        runtime = booted(sim, plant, Doser())
        runtime.invoke_nowait("doser.late")
        sim.advance(5)
        runtime.hot_remove("doser")
        sim.advance(20)
        assert (10.0, True) in plant.driven
        assert not pump(plant)

    def test_its_part_hangs_as_it_stops(self, sim: Simulation) -> None:
        """What it has set goes safe before its `stop`, which may take for ever."""
        plant = Plant()
        runtime = booted(sim, plant, Stuck())
        runtime.invoke("doser.light")
        runtime.hot_remove("doser")
        assert plant.valve.value == 0.0

    def test_with_its_part(self, sim: Simulation) -> None:
        """When the part is taken out nobody answers for what its commands have set."""
        plant = Plant()
        runtime = booted(sim, plant, Doser())
        runtime.invoke("doser.light")
        runtime.hot_remove("doser")
        assert plant.valve.value == 0.0


class Panel(Interface):
    """Sets what others ask for."""

    name = "panel"
    plant: Plant = requires(Plant)

    @on(Measured)
    def take(self, event: Any) -> None:
        """Switch the pump on, as somebody has asked for it; fail below 0."""
        if event.payload.value < 0:
            raise ValueError("no such level")
        self.plant.pump.set(True)


def test_what_an_interface_has_passed_on_stays(sim: Simulation) -> None:
    """It is not the interface that wants it: that may fail, be taken out and put in anew."""
    plant = Plant()
    runtime = booted(sim, plant, Panel())
    runtime.emit(Measured())
    runtime.emit(Measured(-1.0))
    assert pump(plant)
    runtime.hot_remove("panel")
    assert pump(plant)


class Circulation(Service):
    """Keeps the pump on; what its ticks do is told from outside."""

    name = "circulation"
    interval = 1.0
    restart: RestartPolicy = "on-failure"
    backoff_s = 10.0
    plant: Plant = requires(Plant)

    def __init__(self) -> None:
        self.fails = self.ends = self.hangs = self.never_stops = False

    def tick(self, ctx: Context) -> None:
        """Switch it on, or not."""
        if self.hangs:
            ctx.clock.sleep(100.0)
        if self.fails:
            self.fails = False
            raise ValueError("no level")
        self.plant.pump.set(True)
        if self.ends:
            self.finish()

    def stop(self, ctx: Context) -> None:
        """Take longer than a step may."""
        if self.hangs or self.never_stops:
            ctx.clock.sleep(1e6 if self.never_stops else 100.0)


class Broken(Circulation):
    """A version that can start, and no more."""

    restart: RestartPolicy = "no"

    def tick(self, ctx: Context) -> None:
        """Fail."""
        raise ValueError("no level")


class Repeated(Circulation):
    """One that is started again 10 s after it has ended."""

    restart: RestartPolicy = "always"
    backoff_limit_s = 10.0
    restart_budget = (100, 1000.0)


class GivenUp(Repeated):
    """One that is not started again very often."""

    restart_budget = (2, 1000.0)


class TestServices:
    """What a service has set in its ticks goes safe when it does not tick any more."""

    def test_it_fails(self, sim: Simulation) -> None:
        """At once, and not only when it is started again; then it is set again."""
        plant, service = Plant(), Circulation()
        booted(sim, plant, service)
        sim.advance(2.5)
        assert pump(plant)
        service.fails = True
        sim.advance(1)
        assert not pump(plant)
        sim.advance(30)
        assert pump(plant)

    def test_it_hangs(self, sim: Simulation) -> None:
        """When its time is over, though it cannot be ended; when it goes on it sets it again."""
        plant, service = Plant(), Circulation()
        booted(sim, plant, service)
        sim.advance(2.5)
        service.hangs = True
        sim.advance(5)
        assert pump(plant)
        sim.advance(10)
        assert not pump(plant)
        service.hangs = False
        sim.advance(100)
        assert pump(plant)

    @pytest.mark.parametrize("how", ["stop", "disable"])
    def test_it_is_stopped(self, sim: Simulation, how: str) -> None:
        """By an operator."""
        plant = Plant()
        runtime = booted(sim, plant, Circulation())
        sim.advance(2.5)
        getattr(runtime.services, how)("circulation")
        assert not pump(plant)

    def test_it_ends_by_itself(self, sim: Simulation) -> None:
        """What it leaves on is what it wants, until the service is taken out."""
        plant, service = Plant(), Circulation()
        runtime = booted(sim, plant, service)
        service.ends = True
        sim.advance(5)
        assert runtime.services.status("circulation")["state"] == "ended"
        assert pump(plant)
        runtime.hot_remove("circulation")
        assert not pump(plant)

    def test_its_stop_hangs(self, sim: Simulation) -> None:
        """When it has come to its end by itself: what it leaves on stays."""
        plant, service = Plant(), Circulation()
        booted(sim, plant, service)
        sim.advance(2.5)
        service.ends, tick = True, service.tick

        def last(ctx: Context) -> None:
            tick(ctx)
            service.hangs = True

        service.tick = last  # type: ignore[method-assign]
        sim.advance(60)
        assert pump(plant)

    @pytest.mark.parametrize("how", ["given up", "stopped"])
    def test_it_ends_again_and_again(self, sim: Simulation, how: str) -> None:
        """One that is always started again, and ends each time: it lets go when that is over."""
        plant, service = Plant(), GivenUp() if how == "given up" else Repeated()
        service.ends = True
        runtime = booted(sim, plant, service)
        sim.advance(5)
        assert runtime.services.status("circulation")["state"] == "waiting"
        assert pump(plant)
        if how == "stopped":
            runtime.services.stop("circulation")
        sim.advance(60)
        assert not pump(plant)

    def test_its_stop_hangs_when_it_is_stopped(self, sim: Simulation) -> None:
        """An operator has stopped it: what it has set goes safe before its stop, which hangs."""
        plant, service = Plant(), Circulation()
        runtime = booted(sim, plant, service)
        sim.advance(2.5)
        service.never_stops = True
        runtime.services.stop("circulation")
        sim.advance(60)
        assert runtime.services.status("circulation")["state"] == "hung"
        assert not pump(plant)

    def test_somebody_is_slow_to_hear_of_it(self, sim: Simulation) -> None:
        """It lets go before others are told."""
        plant, service = Plant(), Circulation()
        runtime = booted(sim, plant, service)
        sim.advance(2.5)
        runtime.subscribe(message.ServiceError, lambda event: sim.clock.sleep(50.0))
        service.fails = True
        sim.advance(20)
        assert not pump(plant)

    def test_an_update_that_is_given_up(self, sim: Simulation) -> None:
        """Its tick does not end in time for the update: it goes on, and nothing is switched off."""
        plant, service = Plant(), Circulation()
        service.tick_limit_s = 600.0
        runtime = booted(sim, plant, service)
        sim.advance(2.5)
        service.hangs = True
        sim.advance(1)
        service.hangs = False
        plant.driven.clear()
        with pytest.raises(LifecycleError, match="its tick does not end"):
            runtime.hot_update(Circulation())
        sim.advance(200)
        assert plant.driven
        assert all(value for _, value in plant.driven)
        assert runtime.services.status("circulation")["state"] == "running"

    def test_it_is_restarted(self, sim: Simulation) -> None:
        """By an operator: nothing is switched off between."""
        plant = Plant()
        runtime = booted(sim, plant, Circulation())
        sim.advance(2.5)
        plant.driven.clear()
        runtime.services.restart("circulation")
        sim.advance(5)
        assert plant.driven
        assert all(value for _, value in plant.driven)

    def test_another_version_that_fails_at_once(self, sim: Simulation) -> None:
        """In its first tick, before it has set anything: what the old one has set goes safe."""
        plant = Plant()
        runtime = booted(sim, plant, Circulation())
        sim.advance(2.5)
        runtime.hot_update(Broken())
        sim.advance(5)
        assert runtime.services.status("circulation")["state"] == "failed"
        assert not pump(plant)

    def test_another_version_that_is_disabled(self, sim: Simulation) -> None:
        """It does not drive what the old one has set."""
        plant = Plant()
        runtime = booted(sim, plant, Circulation())
        sim.advance(2.5)
        newer = Circulation()
        newer.enabled = False
        runtime.hot_update(newer)
        assert not pump(plant)

    def test_another_version_goes_on(self, sim: Simulation) -> None:
        """P12: nothing is switched off between, and it is the new one that answers for it."""
        plant = Plant()
        runtime = booted(sim, plant, Circulation())
        sim.advance(2.5)
        newer = Circulation()
        plant.driven.clear()
        runtime.hot_update(newer)
        sim.advance(5)
        assert all(value for _, value in plant.driven)
        assert pump(plant)
        newer.fails = True
        sim.advance(1)
        assert not pump(plant)
