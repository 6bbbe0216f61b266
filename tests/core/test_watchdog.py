"""The watchdog (promise P7), in simulated time: what hangs is noticed to the nanosecond."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from edgekernel import Context, Device, Event, Runtime, Service, message
from tests.core.working import (
    LONG_S,
    MakeRuntime,
    Simulation,
    Until,
    Valve,
    Working,
    messages_of,
    status,
)


def hung_and_back(runtime: Runtime) -> list[tuple[float, Any]]:
    """Collect what is told of services that hang and come back."""
    found: list[tuple[float, Any]] = []

    def note(event: Event) -> None:
        found.append((event.monotonic, event.payload))

    runtime.subscribe(message.ServiceHung, note)
    runtime.subscribe(message.ServiceRecovered, note)
    return found


class Steps:
    """Something to watch, in steps of at most 10 s, that counts how often it is looked at."""

    def __init__(self) -> None:
        self.begun_ns: int | None = None
        self.looks = 0
        self.told: list[str] = []

    @property
    def limit_ns(self) -> int:
        self.looks += 1
        return 10 * 10**9

    def mark_hung(self, hung: bool) -> None:
        self.told.append(f"mark {hung}")

    def hangs(self, seconds: float) -> None:
        self.told.append("hangs")

    def recovered(self, seconds: float) -> None:
        self.told.append("recovered")

    def problem(self) -> str:
        return ""


class TestHanging:
    def test_a_tick_is_told_at_its_limit_and_when_it_is_back(self, sim: Simulation) -> None:
        """P7: a tick that hangs is told once, at its limit exactly, and told when it has ended."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        told = hung_and_back(runtime)
        service.tick_limit_s = 3.5
        service.durations = [0.0, 3.4, 0.0, 25.25]
        runtime.register(service)
        runtime.boot()
        sim.advance(50.0)
        begun = service.begun[3]
        assert told == [
            (begun + 3.5, message.ServiceHung("working", 3.5)),
            (begun + 25.25, message.ServiceRecovered("working", 25.25)),
        ]

    def test_each_spell_is_told(self, sim: Simulation) -> None:
        """P7: a service that hangs again after it was back is told again."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        told = hung_and_back(runtime)
        service.tick_limit_s = 2.0
        service.durations = [5.0, 5.0, 0.0, 5.0]
        runtime.register(service)
        runtime.boot()
        sim.advance(100.0)
        assert [type(payload).__name__ for _, payload in told] == [
            "ServiceHung",
            "ServiceRecovered",
        ] * 3

    def test_a_tick_as_long_as_its_limit_hangs(self, sim: Simulation) -> None:
        """P7: whatever happens first in the moment of the limit, hung comes before recovered."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        told = hung_and_back(runtime)
        service.tick_limit_s = 2.0
        service.durations = [2.0] * 10
        runtime.register(service)
        runtime.boot()
        sim.advance(50.0)
        names = [type(payload).__name__ for _, payload in told]
        assert names == ["ServiceHung", "ServiceRecovered"] * (len(names) // 2)

    @pytest.mark.parametrize(
        ("interval", "limit", "expected"),
        [(1.0, None, 10.0), (0.01, None, 10.0), (60.0, None, 600.0), (1.0, 0.25, 0.25)],
    )
    def test_the_limit(
        self, sim: Simulation, interval: float, limit: float | None, expected: float
    ) -> None:
        """P7: the limit is ten intervals, 10 s at least, or what the service says."""
        runtime, service = sim.runtime(), Working(interval=interval)
        told = hung_and_back(runtime)
        service.tick_limit_s = limit
        service.durations = [0.0, 5000.0]
        runtime.register(service)
        runtime.boot()
        sim.advance(4000.0)
        assert told == [(interval + expected, message.ServiceHung("working", expected))]

    @pytest.mark.parametrize(("interval", "limit"), [(0.0, None), (1.0, math.inf)])
    def test_without_a_limit_nothing_hangs(
        self, sim: Simulation, interval: float, limit: float | None
    ) -> None:
        """P7: a tick that may wait for ever is never called hung; its start is, at interval 0."""
        runtime, service = sim.runtime(), Working(interval=interval)
        told = hung_and_back(runtime)
        service.tick_limit_s = limit
        service.start_durations = [20.0]
        service.durations = [1e6]
        runtime.register(service)
        runtime.boot()
        sim.advance(1e5)
        assert [time for time, _ in told] == ([10.0, 20.0] if interval == 0 else [])

    @pytest.mark.parametrize("step", ["start", "stop"])
    def test_start_and_stop_can_hang_too(self, sim: Simulation, step: str) -> None:
        """P7: a start or stop that does not end is told, and the status says what it is at."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        told = hung_and_back(runtime)
        if step == "start":
            service.start_durations = [100.0]
        else:
            service.stop_durations = [100.0]
            service.failures = [ValueError("no")]
        runtime.register(service)
        runtime.boot()
        sim.advance(15.0)
        assert (status(runtime)["state"], status(runtime)["busy_s"]) == ("hung", 15.0)
        sim.advance(90.0)
        assert told == [
            (10.0, message.ServiceHung("working", 10.0)),
            (100.0, message.ServiceRecovered("working", 100.0)),
        ]

    def test_a_hung_tick_that_raises_is_back(self, sim: Simulation) -> None:
        """P7: a hung tick that ends with an error is told as back, and restarted."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        told = hung_and_back(runtime)
        service.durations, service.failures = [30.0], [OSError("at last")]
        runtime.register(service)
        runtime.boot()
        sim.advance(60.0)
        assert [time for time, _ in told] == [10.0, 30.0]
        assert status(runtime)["running"]

    def test_the_status_says_so_while_it_lasts(self, sim: Simulation) -> None:
        """P7: hung is a state, from the limit to the end of the tick."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        service.durations = [30.0]
        runtime.register(service)
        runtime.boot()
        states = []
        for _ in range(4):
            sim.advance(9.5)
            states.append(status(runtime)["state"])
        assert states == ["running", "hung", "hung", "running"]

    def test_pollers_are_watched(self, sim: Simulation) -> None:
        """P7: a device whose poll does not come back is noticed as its poller."""

        class Stuck(Device):
            every = 0.5

            def poll(self) -> None:
                self.ctx.clock.sleep(1000.0)

        runtime = sim.runtime()
        told = hung_and_back(runtime)
        runtime.register(Stuck("stuck"))
        runtime.boot()
        sim.advance(100.0)
        [(time, hung)] = told
        [name] = runtime.services
        assert (time, hung) == (10.0, message.ServiceHung(name, 10.0))

    def test_many_are_told_each_at_its_moment(self, sim: Simulation) -> None:
        """P7: one watchdog watches all; each limit counts on its own."""
        runtime = sim.runtime()
        told = hung_and_back(runtime)
        for n in range(1, 6):
            service = Working(interval=100.0)
            service.name = f"s{n}"
            service.tick_limit_s = 8.0 - n
            service.start_durations = [0.5 * n]
            service.durations = [50.0]
            runtime.register(service)
        runtime.boot()
        sim.advance(40.0)
        assert [(time, hung.service) for time, hung in told] == [
(5.5, "s5"), (6.0, "s4"), (6.5, "s3"), (7.0, "s2"), (7.5, "s1"),
        ]  # fmt: skip

    def test_a_handler_that_hangs_keeps_it_from_nothing(self, sim: Simulation) -> None:
        """P7: the watchdog halts the runtime even while a handler blocks all turns."""
        runtime, valve = sim.runtime(), Valve("valve")
        service = Working(interval=1.0)
        service.critical, service.durations = True, [0.0, 1000.0]
        runtime.subscribe(message.ServiceHung, lambda _: sim.clock.sleep(500.0))
        runtime.register(valve)
        runtime.register(service)
        runtime.boot()
        valve.open.set(True)
        sim.advance(5.0)
        sim.clock.Thread(
            lambda: runtime.turns.call(lambda: sim.clock.sleep(900.0), "hanging turn"), "hanging"
        ).start()
        sim.advance(6.001)
        assert valve.driven[-1] is False
        sim.advance(30.0)
        assert runtime.phase == "stopped"

    def test_a_critical_service_that_hangs_halts(self, sim: Simulation) -> None:
        """P7: the runtime goes to the safe state, and says what hung for how long."""
        runtime, valve = sim.runtime(), Valve("valve")
        service = Working(interval=1.0)
        service.critical, service.durations = True, [0.0, 1000.0]
        failures = messages_of(runtime, message.ServiceFailure)
        reasons = messages_of(runtime, message.RuntimeShuttingDown)
        runtime.register(valve)
        runtime.register(service)
        runtime.boot()
        valve.open.set(True)
        sim.advance(10.999)
        assert valve.driven[-1] is True
        sim.advance(0.002)
        assert valve.driven[-1] is False
        sim.advance(30.0)
        assert runtime.phase == "stopped"
        assert failures == [message.ServiceFailure("working", "its tick takes 10 s")]
        [told] = reasons
        assert told.reason == "critical service working hangs: its tick takes 10 s"

    def test_goes_on_while_the_runtime_stops(self, sim: Simulation) -> None:
        """P7: the watchdog that has halted the runtime does not wait for the end of that."""
        runtime = sim.runtime(shutdown_limit_s=60.0)
        told = hung_and_back(runtime)
        for name, limit in (("first", 5.0), ("second", 8.0)):
            service = Working(interval=1.0)
            service.name, service.tick_limit_s, service.critical = name, limit, name == "first"
            service.durations = [30.0]
            runtime.register(service)
        runtime.boot()
        sim.advance(20.0)
        assert [(time, hung.service) for time, hung in told] == [(5.0, "first"), (8.0, "second")]

    @pytest.mark.parametrize("how", ["stop", "restart"])
    def test_a_critical_service_that_hangs_while_it_is_stopped(
        self, sim: Simulation, how: str
    ) -> None:
        """P7: what was asked to stop halts nothing by hanging, unless it was to start again."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        service.critical, service.durations = True, [0.0, 50.0]
        hung = messages_of(runtime, message.ServiceHung)
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        getattr(runtime.services, how)("working", timeout_s=0.0)
        sim.advance(20.0)
        assert len(hung) == 1
        assert runtime.phase == ("running" if how == "stop" else "stopped")
        assert len(runtime.services.watchdog.problems()) == (how == "restart")

    def test_wakes_up_once_per_limit(self, sim: Simulation) -> None:
        """P7: it does not poll: an hour of something that may take 10 s costs 361 looks."""

        runtime, idle = sim.runtime(), Steps()
        watchdog = runtime.services.watchdog
        watchdog.watch(idle)
        watchdog.look()
        sim.advance(3600.5)
        assert idle.looks == 361
        watchdog.forget(idle)
        sim.advance(3600.0)
        assert idle.looks == 361
        watchdog.close()

    def test_a_step_that_ends_as_it_is_looked_at_does_not_hang(self, sim: Simulation) -> None:
        """P7: a step that ends between the look at it and the mark on it is not told."""

        class Ending(Steps):
            def mark_hung(self, hung: bool) -> None:
                self.told.append(f"mark {hung}")
                self.begun_ns = None

        runtime, steps = sim.runtime(), Ending()
        steps.begun_ns = 0
        runtime.services.watchdog.watch(steps)
        runtime.services.watchdog.look()
        sim.advance(15.0)
        runtime.services.watchdog.close()
        assert steps.told == ["mark True", "mark False"]


class TestFeed:
    def test_is_called_at_its_interval_while_all_is_well(self, sim: Simulation) -> None:
        """P7: the feed comes at absolute times while every critical service makes progress."""
        runtime = sim.runtime()
        service, other = Working(interval=1.0), Working(interval=1.0)
        service.critical = True
        other.name, other.durations = "other", [1000.0]
        runtime.register(service)
        runtime.register(other)
        runtime.boot()
        fed: list[float] = []
        sim.advance(0.5)
        runtime.services.watchdog.feed(lambda: fed.append(sim.clock.monotonic()), 15.0)
        sim.advance(61.0)
        assert fed == [0.5, 15.5, 30.5, 45.5, 60.5]
        assert runtime.services.watchdog.problems() == []

    def test_stays_out_while_a_critical_service_hangs(self, sim: Simulation) -> None:
        """P7: from the moment a critical service counts as hung, the feed stays out."""
        runtime, service = sim.runtime(shutdown_limit_s=60.0), Working(interval=1.0)
        service.critical, service.durations = True, [0.0, 1000.0]
        runtime.register(service)
        runtime.boot()
        fed: list[float] = []
        runtime.services.watchdog.feed(lambda: fed.append(sim.clock.monotonic()), 2.0)
        sim.advance(12.5)
        assert fed == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        assert runtime.services.watchdog.problems() == [
            "critical service working hangs: its tick takes 11.5 s"
        ]

    def test_that_raises_is_told_and_called_again(self, sim: Simulation) -> None:
        """P7: a feed that fails does not end the watch."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        errors = messages_of(runtime, message.BackgroundError)
        hung = messages_of(runtime, message.ServiceHung)
        service.durations = [1000.0]
        runtime.register(service)
        runtime.boot()

        def fail() -> None:
            raise OSError("no socket")

        runtime.services.watchdog.feed(fail, 4.0)
        sim.advance(11.0)
        assert [(error.where, error.error) for error in errors] == [
            ("watchdog", "OSError: no socket")
        ] * 3
        assert len(hung) == 1

    @pytest.mark.parametrize("every_s", [0.0, -1.0, math.nan])
    def test_needs_an_interval(self, sim: Simulation, every_s: float) -> None:
        """P7: a feed without an interval is refused."""
        with pytest.raises(ValueError, match="above 0"):
            sim.runtime().services.watchdog.feed(lambda: None, every_s)

    def test_ends_with_the_runtime(self, sim: Simulation) -> None:
        """P6: after the shutdown nothing is fed."""
        runtime = sim.runtime()
        runtime.boot()
        fed: list[float] = []
        runtime.services.watchdog.feed(lambda: fed.append(sim.clock.monotonic()), 1.0)
        sim.advance(2.5)
        runtime.shutdown()
        sim.advance(10.0)
        assert fed == [0.0, 1.0, 2.0]


def test_with_real_threads(make_runtime: MakeRuntime, until: Until) -> None:
    """P7: on the real clock, a tick that blocks outside of every clock is noticed."""
    gate = threading.Event()

    class Blocked(Service):
        name = "blocked"
        tick_limit_s = 0.05

        def tick(self, ctx: Context) -> None:
            gate.wait(LONG_S)

    runtime = make_runtime()
    hung = messages_of(runtime, message.ServiceHung)
    back = messages_of(runtime, message.ServiceRecovered)
    runtime.register(Blocked())
    runtime.boot()
    until(lambda: bool(hung))
    assert (hung[0].service, hung[0].seconds >= 0.05) == ("blocked", True)
    assert status(runtime, "blocked")["state"] == "hung"
    gate.set()
    until(lambda: bool(back))
    assert len(hung) == 1
