"""New versions of what can be held by one only: devices, and services on their threads (P12)."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel import (
    Context,
    Device,
    Message,
    Process,
    Service,
    Signal,
    component,
    effect,
    lifecycle,
    message,
    on,
    output,
    provides,
    requires,
)
from edgekernel.core.errors import LifecycleError
from tests.core.parts import (
    Lamp,
    NotingProcess,
    NotingService,
    Simulation,
    Steps,
    Tick,
    messages_of,
)


class Heater(Device):
    """Notes what is done to it; polled every second."""

    power = output(bool, safe=False)
    number = "v1"

    def __init__(self, id: str, steps: Steps, group: str = "bus", fail: str = "") -> None:
        super().__init__(id)
        self.steps, self.poll_group, self.fail = steps, group, fail
        self.polled_at: list[float] = []

    def connect(self) -> None:
        self.steps(f"connect {self.number}")
        if self.fail == "connect":
            raise OSError("no connect")

    def disconnect(self) -> None:
        self.steps(f"disconnect {self.number}")

    def poll(self) -> None:
        self.polled_at.append(self.clock.monotonic())

    @lifecycle.restore
    def restore(self, known: Any) -> None:
        if self.fail == "restore":
            raise OSError("no restore")

    @power.drive
    def drive(self, value: bool) -> bool:
        self.steps(f"drive {self.number} {value}")
        return value


class Heater2(Heater):
    number = "v2"


class Thermostat(Process):
    """Drives the heater it is given."""

    name = "thermostat"
    heater = requires(Heater)

    def __init__(self) -> None:
        self.wanted = Signal(True)
        self.given: list[Any] = []

    @effect
    def control(self) -> None:
        self.given.append(self.heater)
        self.heater.power.set(self.wanted.get())


class TestDevices:
    def test_the_new_driver_takes_over(self, sim: Simulation, steps: Steps) -> None:
        """P12, P8: the old one is safe and lets go before the new one connects, and is driven."""
        runtime = sim.runtime()
        old, new = Heater("heater", steps), Heater2("heater", steps)
        runtime.register(old)
        thermostat = runtime.register(Thermostat())
        runtime.boot()
        sim.advance(1.5)
        steps.all.clear()
        runtime.hot_update(new)
        assert steps.all == [
            "drive v1 False", "disconnect v1", "connect v2", "drive v2 False", "drive v2 True",
        ]  # fmt: skip
        assert thermostat.given == [old, new]
        assert runtime.devices["heater"] is new
        assert (new.online, old.attached) == (True, False)
        sim.advance(2.1)
        assert old.polled_at == [0.0, 1.0]
        assert new.polled_at == [1.5, 2.5, 3.5]
        errors = runtime.status()["errors"]
        runtime.shutdown()
        assert steps.all[-2:] == ["drive v2 False", "disconnect v2"]
        assert errors == 0

    def test_configuration_is_that_of_the_new_one(self, sim: Simulation, steps: Steps) -> None:
        """A5.1: what a driver was made with is not overwritten by what the old one had."""
        runtime = sim.runtime()
        runtime.register(Heater("heater", steps))
        runtime.boot()
        new = Heater2("heater", steps, group="other bus")
        new.every = 0.5
        runtime.hot_update(new)
        sim.advance(1.2)
        assert (new.every, new.poll_group) == (0.5, "other bus")
        assert new.polled_at == [0.0, 0.5, 1.0]
        assert list(runtime.services) == ["poll:other bus"]
        assert new.online

    def test_during_a_poll(self, sim: Simulation, steps: Steps) -> None:
        """P12: a poll of the old driver has ended before it is disconnected."""

        class Slow(Heater):
            def poll(self) -> None:
                self.steps("poll begins")
                self.clock.sleep(1.0)
                self.steps("poll ends")

        runtime = sim.runtime()
        runtime.register(Slow("heater", steps))
        runtime.boot()
        sim.advance(0.5)
        runtime.hot_update(Heater2("heater", steps))
        assert steps.all[2:5] == ["poll begins", "poll ends", "drive v1 False"]

    @pytest.mark.parametrize("step", ["connect", "restore"])
    def test_the_old_driver_goes_on(self, sim: Simulation, steps: Steps, step: str) -> None:
        """P12, P8: a driver that fails leaves the hardware to the old one, driven and polled."""
        runtime = sim.runtime()
        old = Heater("heater", steps)
        runtime.register(old)
        thermostat = runtime.register(Thermostat())
        runtime.boot()
        sim.advance(0.5)
        steps.all.clear()
        with pytest.raises(OSError, match=f"no {step}"):
            runtime.hot_update(Heater2("heater", steps, fail=step))
        assert steps.of("connect", "disconnect") == [
            "disconnect v1", "connect v2", "disconnect v2", "connect v1",
        ]  # fmt: skip
        assert steps.all[-1] == "drive v1 False"  # the safe value, from which it is set again
        thermostat.wanted.set(False)
        thermostat.wanted.set(True)
        assert steps.all[-1] == "drive v1 True"
        assert runtime.devices["heater"] is old
        assert old.online
        sim.advance(2.0)
        assert len(old.polled_at) >= 3
        assert runtime.status()["state"] == "running"

    def test_neither_can_be_driven(self, sim: Simulation, steps: Steps) -> None:
        """P5, P12: when the old driver does not come back, that is degraded, told and retried."""
        runtime = sim.runtime()
        old = Heater("heater", steps)
        runtime.register(old)
        runtime.register(Thermostat())
        runtime.boot()
        told = messages_of(runtime, message.RuntimeDegraded)
        old.fail = "connect"
        with pytest.raises(OSError, match="no connect"):
            runtime.hot_update(Heater2("heater", steps, fail="connect"))
        assert runtime.status()["degraded"] == ["heater", "thermostat"]
        assert [each.parts for each in told] == [("heater", "thermostat")]
        old.fail = ""
        sim.advance(5.0)
        assert runtime.status()["state"] == "running"
        assert old.online
        assert steps.all[-1] == "drive v1 True"

    def test_handlers_of_a_device_pause(self, sim: Simulation, steps: Steps) -> None:
        """P5: no handler of the old driver runs after its disconnect, even if the new one hangs."""

        class Telling(Heater):
            @on(Tick)
            def handle(self, event: Any) -> None:
                self.steps(f"handled {self.number} {self.attached}")

        class Telling2(Telling):
            number = "v2"

            def connect(self) -> None:
                super().connect()
                self.clock.sleep(1.0)

        runtime = sim.runtime()
        runtime.register(Telling("heater", steps))
        runtime.boot()
        sim.clock.Thread(lambda: runtime.hot_update(Telling2("heater", steps)), "update").start()
        sim.advance(0.5)
        runtime.emit(Tick())
        sim.advance(1.0)
        runtime.emit(Tick())
        assert steps.of("handled") == ["handled v2 True"]


class Pump(NotingService):
    """A service that counts its ticks."""

    interval = 1.0
    number = "v1"

    def __init__(self, name: str, steps: Steps) -> None:
        super().__init__(name, steps)
        self.ticked = 0

    def start(self, ctx: Context) -> None:
        self.steps(f"start {self.number}")

    def tick(self, ctx: Context) -> None:
        self.ticked += 1
        self.steps(f"tick {self.number} {self.ticked}")

    def stop(self, ctx: Context) -> None:
        self.steps(f"stop {self.number}")

    @on(Tick)
    def handle(self, event: Any) -> None:
        self.steps(f"handled {self.number}")


class Pump2(Pump):
    number = "v2"


class TestServices:
    def test_the_new_one_ticks(self, sim: Simulation, steps: Steps) -> None:
        """P12: the old one has stopped before the new one starts, which goes on with its state."""
        runtime = sim.runtime()
        old = Pump("pump", steps)
        runtime.register(old)
        runtime.boot()
        sim.advance(1.5)
        new = Pump2("pump", steps)
        runtime.hot_update(new)
        sim.advance(1.2)
        runtime.emit(Tick())
        assert steps.all == [
            "start v1", "tick v1 1", "tick v1 2", "stop v1",
            "start v2", "tick v2 3", "tick v2 4", "handled v2",
        ]  # fmt: skip
        assert runtime.services["pump"] is new
        assert runtime.status()["services"]["pump"]["running"]
        runtime.shutdown()
        assert steps.all[-1] == "stop v2"
        assert steps.of("stop") == ["stop v1", "stop v2"]

    def test_consumers_never_miss_it(self, sim: Simulation, steps: Steps) -> None:
        """P12: who is given a service sees the old or the new one, also while that starts (K40)."""

        class Slow(Pump2):
            def start(self, ctx: Context) -> None:
                ctx.clock.sleep(1.0)
                super().start(ctx)

        class Watching(Process):
            name = "watching"
            pump = requires(Pump)

            def __init__(self) -> None:
                self.given: list[Any] = []

            @effect
            def follow(self) -> None:
                self.given.append(self.pump)

        runtime = sim.runtime()
        old, new = Pump("pump", steps), Slow("pump", steps)
        runtime.register(old)
        watching = runtime.register(Watching())
        runtime.boot()
        sim.clock.Thread(lambda: runtime.hot_update(new), "update").start()
        sim.advance(0.5)
        assert watching.pump is old
        sim.advance(1.0)
        assert watching.given == [old, new]

    @pytest.mark.parametrize("step", ["start", "activate", "restore"])
    @pytest.mark.parametrize("critical", [False, True])
    def test_the_old_one_goes_on(
        self, sim: Simulation, steps: Steps, step: str, critical: bool
    ) -> None:
        """P12: a new version that fails, even a critical one, leaves the old one ticking (K7)."""

        class Bad(Pump2):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                self.fail_in("start")

            @lifecycle.activate
            def activate(self) -> None:
                self.fail_in("activate")

            @lifecycle.restore
            def restore(self, known: Any) -> None:
                self.fail_in("restore")

            def fail_in(self, now: str) -> None:
                if now == step:
                    raise OSError(f"no {now}")

        runtime = sim.runtime()
        old, bad = Pump("pump", steps), Bad("pump", steps)
        bad.critical = critical
        runtime.register(old)
        runtime.boot()
        sim.advance(0.5)
        with pytest.raises(OSError, match=f"no {step}"):
            runtime.hot_update(bad)
        sim.advance(1.2)
        runtime.emit(Tick())
        assert steps.all == [
            "start v1", "tick v1 1", "stop v1", "start v2", "stop v2",
            "start v1", "tick v1 2", "tick v1 3", "handled v1",
        ]  # fmt: skip
        assert runtime.services["pump"] is old
        assert bad.critical is critical
        sim.advance(300.0)
        assert steps.of("start v2") == ["start v2"]
        assert runtime.phase == "running"

    def test_the_old_one_keeps_its_children(self, sim: Simulation, steps: Steps) -> None:
        """P12: an old version that starts again after a failed update has the child it had."""
        spawned: list[Any] = []

        class Parent(Pump):
            def start(self, ctx: Context) -> None:
                spawned.append(ctx.spawn(NotingProcess("child", self.steps)))

        class Bad(Parent):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                raise OSError("no start")

        runtime = sim.runtime()
        runtime.register(Parent("pump", steps))
        runtime.boot()
        sim.advance(0.5)
        with pytest.raises(OSError, match="no start"):
            runtime.hot_update(Bad("pump", steps))
        sim.advance(1.0)
        child = runtime.processes["child"]
        assert [spawned[0], spawned[-1]] == [child, child]
        assert steps.of("start", "stop child") == ["start child"]

    def test_a_start_that_hangs(self, sim: Simulation, steps: Steps) -> None:
        """P12: a version that does not start in time is given up, and handles no event."""

        class Hanging(Pump2):
            def start(self, ctx: Context) -> None:
                ctx.clock.sleep(100.0)
                super().start(ctx)

            @on(Message)
            def notice(self, event: Any) -> None:
                self.steps("noticed")

        runtime = sim.runtime()
        runtime.register(Pump("pump", steps))
        runtime.boot()
        with pytest.raises(LifecycleError, match="pump: not started within 10 s"):
            runtime.hot_update(Hanging("pump", steps))
        sim.advance(200.0)
        assert "noticed" not in steps.all
        assert len(steps.of("tick v1")) > 150
        assert steps.of("tick v2") == []

    def test_a_tick_that_does_not_end(self, sim: Simulation, steps: Steps) -> None:
        """P12: a service whose tick hangs is not replaced; it goes on when the tick has ended."""

        class Hanging(Pump):
            def tick(self, ctx: Context) -> None:
                super().tick(ctx)
                if self.ticked == 1:
                    ctx.clock.sleep(50.0)

        runtime = sim.runtime()
        runtime.register(Hanging("pump", steps))
        runtime.boot()
        sim.advance(1.0)
        with pytest.raises(LifecycleError, match="pump: not updated: its tick does not end"):
            runtime.hot_update(Pump2("pump", steps))
        assert runtime.status()["components"]["pump"]["state"] == "hung"
        sim.advance(45.0)
        assert steps.all == [
            "start v1", "tick v1 1", "stop v1", "start v1",
            *(f"tick v1 {n}" for n in range(2, len(steps.all) - 2)),
        ]  # fmt: skip
        assert len(steps.of("tick")) > 5

    def test_one_that_has_ended(self, sim: Simulation, steps: Steps) -> None:
        """P12: a failed update does not run a service again that had ended by itself."""

        class Once(Pump):
            restart = "no"

            def tick(self, ctx: Context) -> None:
                super().tick(ctx)
                raise ValueError("done")

        class Bad(Pump2):
            def start(self, ctx: Context) -> None:
                raise OSError("no")

        runtime = sim.runtime()
        runtime.register(Once("pump", steps))
        runtime.boot()
        sim.advance(1.0)
        with pytest.raises(OSError, match="no"):
            runtime.hot_update(Bad("pump", steps))
        sim.advance(10.0)
        assert steps.of("start v1") == ["start v1"]

    def test_one_that_is_switched_off(self, sim: Simulation, steps: Steps) -> None:
        """P12: a version that is not enabled takes the place and does not tick."""
        runtime = sim.runtime()
        old = Pump("pump", steps)
        runtime.register(old)
        runtime.boot()
        sim.advance(1.5)
        new = Pump2("pump", steps)
        new.enabled = False
        runtime.hot_update(new)
        sim.advance(5.0)
        assert steps.of("start", "tick v2") == ["start v1"]
        assert new.ticked == 2
        assert runtime.services["pump"] is new

    def test_what_its_start_spawns_and_adds(self, sim: Simulation, steps: Steps) -> None:
        """P12: the start of a new version may spawn and add parts, on its own thread."""

        class Adding(Pump2):
            def start(self, ctx: Context) -> None:
                runtime: Any = ctx.runtime
                ctx.spawn(NotingProcess("child", self.steps))
                runtime.hot_add(NotingProcess("added", self.steps))
                super().start(ctx)

        runtime = sim.runtime()
        runtime.register(Pump("pump", steps))
        runtime.boot()
        sim.advance(0.5)
        runtime.hot_update(Adding("pump", steps))
        assert sim.clock.monotonic() == 0.5
        assert runtime.status()["components"]["child"]["parent"] == "pump"
        assert list(runtime.processes) == ["added", "child"]

    def test_activated_and_deactivated_with_each_run(self, sim: Simulation, steps: Steps) -> None:
        """P7: each run of a service is activated at its start and deactivated at its end, once."""

        @component(name="flaky")
        @provides("IFlaky")
        class Flaky(Service):
            name = "flaky"
            interval = 1.0
            backoff_s = 1.0

            @lifecycle.activate
            def activate(self) -> None:
                steps("activate")

            @lifecycle.deactivate
            def deactivate(self) -> None:
                steps("deactivate")

            def tick(self, ctx: Context) -> None:
                if len(steps.all) == 1:
                    raise ValueError("once")

        runtime = sim.runtime()
        runtime.register(Flaky)
        runtime.boot()
        sim.advance(5.0)
        runtime.hot_update(Flaky)
        sim.advance(1.0)
        runtime.shutdown()
        assert steps.all == ["activate", "deactivate"] * 3


def test_effects_that_meet_a_device_between_two_drivers_are_held_back(
    sim: Simulation, steps: Steps
) -> None:
    """P12: while a driver is replaced its outputs take nothing; an effect that sets one then has
    not failed, but is counted as held back."""

    class SlowLamp(Lamp):
        def connect(self) -> None:
            self.clock.sleep(2.0)
            super().connect()

    class Driving(NotingProcess):
        lamp = requires(Lamp)

        def __init__(self) -> None:
            super().__init__("driving", steps)
            self.wanted = Signal(False)

        @effect
        def follow(self) -> None:
            self.lamp.power.set(self.wanted.get())

    runtime = sim.runtime()
    driving = Driving()
    runtime.register(Lamp("lamp", steps))
    runtime.register(driving)
    failed = messages_of(runtime, message.EffectError)
    runtime.boot()

    def turn_on() -> None:
        sim.clock.sleep(1.0)
        driving.wanted.set(True)

    sim.clock.Thread(turn_on, "turn on").start()
    runtime.hot_update(SlowLamp("lamp", steps))
    assert failed == []
    status = runtime.status()
    assert (status["errors"], status["held_back"]) == (0, 1)
    assert steps.all[-1] == "drive lamp True"


def test_other_devices_are_not_held_back_by_an_exchange(sim: Simulation, steps: Steps) -> None:
    """P3, P12: while a driver is replaced, an effect that is refused an output of another device
    has failed as at any other time."""

    class SlowLamp(Lamp):
        def connect(self) -> None:
            self.clock.sleep(2.0)
            super().connect()

    class Driving(NotingProcess):
        def __init__(self, lamp: Lamp) -> None:
            super().__init__("driving", steps)
            self.lamp = lamp
            self.wanted = Signal(False)

        @effect
        def follow(self) -> None:
            if self.wanted.get():
                self.lamp.power.set(True)

    runtime = sim.runtime()
    driving = Driving(Lamp("elsewhere", steps))
    runtime.register(Lamp("lamp", steps))
    runtime.register(driving)
    failed = messages_of(runtime, message.EffectError)
    runtime.boot()

    def turn_on() -> None:
        sim.clock.sleep(1.0)
        driving.wanted.set(True)

    sim.clock.Thread(turn_on, "turn on").start()
    runtime.hot_update(SlowLamp("lamp", steps))
    [told] = failed
    assert "elsewhere.power: not set to True: the device is not attached" in told.error
    assert runtime.status()["held_back"] == 0
