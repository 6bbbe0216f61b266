"""Supervision of services (promise P7), in simulated time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from edgekernel import Context, Device, Message, Runtime, Service, message, output

if TYPE_CHECKING:
    from edgekernel.sim import SimClock

LONG_S = 10.0

MakeRuntime = Callable[..., Runtime]
Until = Callable[[Callable[[], bool]], None]


class Simulation(Protocol):
    """The fixture `sim`."""

    clock: SimClock

    def runtime(self, **options: Any) -> Runtime: ...
    def advance(self, seconds: float) -> None: ...


class Working(Service):
    """Notes when it starts, ticks and stops; may take time, and may fail."""

    name = "working"

    def __init__(self, interval: float = 1.0) -> None:
        self.interval = interval
        self.begun: list[float] = []
        self.steps: list[str] = []
        self.durations: list[float] = []
        self.failures: list[BaseException | None] = []
        self.start_failures: list[Exception | None] = []

    def start(self, ctx: Context) -> None:
        self.steps.append(f"start {ctx.clock.monotonic():g}")
        failure = self.start_failures.pop(0) if self.start_failures else None
        if failure is not None:
            raise failure

    def tick(self, ctx: Context) -> None:
        self.begun.append(round(ctx.clock.monotonic(), 6))
        if self.durations:
            ctx.clock.sleep(self.durations.pop(0))
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure

    def stop(self, ctx: Context) -> None:
        self.steps.append(f"stop {ctx.clock.monotonic():g}")


def messages_of(runtime: Runtime, cls: type[Message]) -> list[Any]:
    """Collect the messages of a class from now on."""
    found: list[Any] = []
    runtime.subscribe(cls, lambda event: found.append(event.payload))
    return found


def status(runtime: Runtime, service: str = "working") -> dict[str, Any]:
    """The status of a service."""
    found: dict[str, Any] = runtime.status()["services"][service]
    return found


class TestTicks:
    def test_follow_absolute_deadlines(self, sim: Simulation) -> None:
        """P7: whatever the ticks take, they begin on the grid of the interval: no drift."""
        runtime, service = sim.runtime(), Working(interval=0.01)
        service.durations = [0.003, 0.0, 0.009] * 2000
        runtime.register(service)
        runtime.boot()
        sim.advance(59.995)
        assert service.begun == [round(0.01 * n, 6) for n in range(6000)]
        assert status(runtime)["missed"] == 0

    def test_an_overrun_is_reported_and_skipped(self, sim: Simulation) -> None:
        """P7: a tick that takes too long costs the ticks it covers; they are never bunched."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        overruns = messages_of(runtime, message.ServiceOverrun)
        service.durations = [0.0, 0.0, 2.5, 0.0]
        runtime.register(service)
        runtime.boot()
        sim.advance(6.5)
        assert service.begun == [0.0, 1.0, 2.0, 5.0, 6.0]
        assert overruns == [message.ServiceOverrun("working", 2)]
        assert status(runtime)["missed"] == 2

    def test_a_tick_that_ends_on_the_next_deadline_misses_nothing(self, sim: Simulation) -> None:
        """P7: a tick as long as the interval is no overrun."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        overruns = messages_of(runtime, message.ServiceOverrun)
        service.durations = [1.0] * 5
        runtime.register(service)
        runtime.boot()
        sim.advance(4.5)
        assert service.begun == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert overruns == []

    def test_a_spell_of_overruns_is_told_once_and_counted_always(self, sim: Simulation) -> None:
        """P7: overruns in a row are one message; after a tick in time the next is told again."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        overruns = messages_of(runtime, message.ServiceOverrun)
        service.durations = [1.5, 1.5, 1.5, 0.0, 1.5]
        runtime.register(service)
        runtime.boot()
        sim.advance(9.5)
        assert service.begun == [0.0, 2.0, 4.0, 6.0, 7.0, 9.0]
        assert len(overruns) == 2
        assert status(runtime)["missed"] == 4

    def test_an_interval_of_zero_ticks_without_a_pause(self, sim: Simulation) -> None:
        """An interval of 0 leaves the waiting to the tick."""
        runtime, service = sim.runtime(), Working(interval=0.0)
        service.durations = [0.25] * 8 + [3600.0]
        runtime.register(service)
        runtime.boot()
        sim.advance(2.1)
        assert service.begun == [round(0.25 * n, 6) for n in range(9)]
        assert status(runtime)["missed"] == 0

    def test_lateness_is_in_the_status(self, sim: Simulation) -> None:
        """P7: the status tells ticks, age of the last one, and is ready for JSON."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        runtime.register(service)
        runtime.boot()
        sim.advance(2.25)
        now = status(runtime)
        assert json.loads(json.dumps(now)) == now
        assert (now["running"], now["ticks"], now["restarts"]) == (True, 3, 0)
        assert now["last_tick_age_s"] == pytest.approx(0.25)
        assert now["lateness_s"] == 0.0

    def test_own_deadlines_and_being_woken(self, sim: Simulation) -> None:
        """A service may say when to tick next, and be woken to say it again."""

        class OnDemand(Working):
            asked_ns = 5 * 10**9

            def next_deadline_ns(self, deadline_ns: int, now_ns: int) -> int:
                return deadline_ns + 100 * 10**9

            def woken(self, deadline_ns: int) -> int:
                return self.asked_ns

        runtime, service = sim.runtime(), OnDemand()
        runtime.register(service)
        runtime.boot()
        sim.advance(2.0)
        service.wake()
        sim.advance(10.0)
        assert service.begun == [0.0, 5.0]

    def test_a_disabled_service_does_not_start(self, sim: Simulation) -> None:
        """A service that is not enabled is attached, but never started."""
        runtime, service = sim.runtime(), Working()
        service.enabled = False
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        runtime.shutdown()
        assert (service.begun, service.steps) == ([], [])

    def test_a_day_of_a_service(self, sim: Simulation) -> None:
        """P7, P10: over a simulated day no tick is lost or early."""
        runtime, service = sim.runtime(), Working(interval=60.0)
        runtime.register(service)
        runtime.boot()
        sim.advance(86_400 - 1)
        assert service.begun == [60.0 * n for n in range(1440)]

    def test_each_has_a_thread_of_its_own(self, make_runtime: MakeRuntime) -> None:
        """P7: services run in parallel, each on a thread that carries its name."""
        barrier = threading.Barrier(3)
        names: list[str] = []

        class Meeting(Service):
            interval = 3600.0

            def tick(self, ctx: Context) -> None:
                names.append(threading.current_thread().name)
                barrier.wait(LONG_S)

        runtime = make_runtime()
        for name in ("a", "b"):
            service = Meeting()
            service.name = name
            runtime.register(service)
        runtime.boot()
        barrier.wait(LONG_S)
        assert sorted(names) == ["svc:a", "svc:b"]


class TestRestart:
    def test_runs_start_again_with_growing_delay(self, sim: Simulation) -> None:
        """P7: each restart stops and really starts again; the delay doubles, with jitter."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        restarts = messages_of(runtime, message.ServiceRestart)
        errors = messages_of(runtime, message.ServiceError)
        service.failures = [ValueError(f"no {n}") for n in range(4)]
        runtime.register(service)
        runtime.boot()
        sim.advance(100.0)
        assert [restart.attempt for restart in restarts] == [1, 2, 3, 4]
        for n, restart in enumerate(restarts):
            assert 0.8 * 2**n <= restart.delay_s <= 1.2 * 2**n
        starts = [float(step.split()[1]) for step in service.steps if step.startswith("start")]
        assert len(starts) == 5
        gaps = [after - before for before, after in pairwise(starts)]
        assert gaps == pytest.approx([restart.delay_s for restart in restarts], abs=0.01)
        assert [step.split()[0] for step in service.steps] == ["start", "stop"] * 4 + ["start"]
        assert [(error.event, error.error) for error in errors] == [
            ("tick", f"ValueError: no {n}") for n in range(4)
        ]
        assert "raise failure" in errors[0].traceback
        assert status(runtime)["running"]
        assert status(runtime)["last_error"] == "ValueError: no 3"

    def test_the_delay_has_a_limit(self, sim: Simulation) -> None:
        """P7: the delay does not grow beyond `backoff_limit_s`."""

        class Patient(Working):
            restart_budget = (100, 1e9)
            backoff_limit_s = 5.0

        runtime, service = sim.runtime(), Patient(interval=1.0)
        restarts = messages_of(runtime, message.ServiceRestart)
        service.failures = [ValueError("no") for _ in range(10)]
        runtime.register(service)
        runtime.boot()
        sim.advance(1000.0)
        assert len(restarts) == 10
        assert max(restart.delay_s for restart in restarts) <= 6.0
        assert all(restart.delay_s >= 4.0 for restart in restarts[3:])

    def test_a_budget_that_is_used_up_gives_up(self, sim: Simulation) -> None:
        """P7: more failures than the budget allows end in ServiceFailure; the others go on."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        failures = messages_of(runtime, message.ServiceFailure)
        service.failures = [ValueError("always") for _ in range(100)]
        runtime.register(service)
        runtime.boot()
        sim.advance(1000.0)
        assert [(f.service, f.error) for f in failures] == [("working", "ValueError: always")]
        assert len([step for step in service.steps if step.startswith("start")]) == 6
        assert not status(runtime)["running"]
        assert runtime.phase == "running"

    def test_rare_failures_use_up_no_budget(self, sim: Simulation) -> None:
        """P7: the budget counts the restarts of a stretch of time, and the delay begins anew."""

        class Budgeted(Working):
            restart_budget = (2, 30.0)

        runtime, service = sim.runtime(), Budgeted(interval=1.0)
        restarts = messages_of(runtime, message.ServiceRestart)
        for _ in range(5):
            service.failures += [None] * 60 + [ValueError("rarely")]
        runtime.register(service)
        runtime.boot()
        sim.advance(400.0)
        assert len(restarts) == 5
        assert all(restart.delay_s <= 1.2 for restart in restarts)
        assert status(runtime)["running"]

    @pytest.mark.parametrize(("policy", "started"), [("no", 1), ("on-failure", 2), ("always", 2)])
    def test_policies(self, sim: Simulation, policy: Any, started: int) -> None:
        """P7: after a failure `no` stays down, `on-failure` and `always` start again."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        service.restart = policy
        service.failures = [ValueError("once")]
        runtime.register(service)
        runtime.boot()
        sim.advance(10.0)
        assert len([step for step in service.steps if step.startswith("start")]) == started
        assert status(runtime)["running"] == (started == 2)

    def test_a_start_that_fails_is_told_and_tried_again(self, sim: Simulation) -> None:
        """P7: an error in `start` does not vanish; `stop` is called, and a restart follows."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        errors = messages_of(runtime, message.ServiceError)
        started = messages_of(runtime, message.ServiceStarted)
        service.start_failures = [OSError("no bus")]
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        assert [(error.event, error.error) for error in errors] == [("start", "OSError: no bus")]
        assert [step.split()[0] for step in service.steps] == ["start", "stop", "start"]
        assert len(started) == 1
        assert service.begun

    def test_a_tick_that_exits_is_a_failure(self, sim: Simulation) -> None:
        """P7: `sys.exit` in a tick does not end the service without a word."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        errors = messages_of(runtime, message.ServiceError)
        service.failures = [SystemExit(3)]
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        assert [error.error for error in errors] == ["SystemExit: 3"]
        assert status(runtime)["running"]

    def test_a_shutdown_ends_the_wait_for_a_restart(self, sim: Simulation) -> None:
        """P6, P7: a service that waits for its restart is stopped at once and stays down."""

        class Waiting(Working):
            backoff_s = 3000.0
            backoff_limit_s = 3000.0

        runtime, service = sim.runtime(), Waiting(interval=1.0)
        service.failures = [ValueError("once")]
        runtime.register(service)
        runtime.boot()
        sim.advance(10.0)
        before = sim.clock.monotonic()
        runtime.shutdown()
        assert sim.clock.monotonic() - before < 1.0
        sim.advance(10_000.0)
        assert [step.split()[0] for step in service.steps] == ["start", "stop"]


class Valve(Device):
    open = output(bool, safe=False)

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.driven: list[bool] = []

    @open.drive
    def drive(self, value: bool) -> bool:
        self.driven.append(value)
        return value


class TestCritical:
    @pytest.mark.parametrize("step", ["start", "tick"])
    def test_halts_the_runtime_with_the_cause(self, sim: Simulation, step: str) -> None:
        """P7: a critical service that fails shuts down into the safe state and says why."""
        runtime, service, valve = sim.runtime(), Working(interval=1.0), Valve("valve")
        service.critical = True
        if step == "start":
            service.start_failures = [ValueError("too hot")]
        else:
            service.failures = [None, ValueError("too hot")]
        failures = messages_of(runtime, message.ServiceFailure)
        reasons = messages_of(runtime, message.RuntimeShuttingDown)
        runtime.register(valve)
        runtime.register(service)
        runtime.boot()
        valve.open.set(True)
        sim.advance(20.0)
        assert runtime.phase == "stopped"
        assert valve.driven[-1] is False
        assert failures == [message.ServiceFailure("working", "ValueError: too hot")]
        [told] = reasons
        assert told.reason == "critical service working failed: ValueError: too hot"
        assert len([each for each in service.steps if each.startswith("start")]) == 1

    def test_a_failure_while_it_is_stopped_is_no_halt(self, sim: Simulation) -> None:
        """P6, P7: what a critical service raises because it is being stopped gives up nothing."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        service.critical = True
        service.durations = [0.2] * 10
        failures = messages_of(runtime, message.ServiceFailure)
        runtime.register(service)
        runtime.boot()
        sim.advance(1.1)
        service.failures = [ValueError("interrupted")]
        runtime.shutdown("on purpose")
        assert failures == []
        assert runtime.phase == "stopped"


def test_a_stop_that_raises_is_told(sim: Simulation) -> None:
    """P7: an error in `stop` is reported and does not keep the service from its restart."""

    class BadStop(Working):
        def stop(self, ctx: Context) -> None:
            super().stop(ctx)
            raise ValueError("stuck")

    runtime, service = sim.runtime(), BadStop(interval=1.0)
    errors = messages_of(runtime, message.ServiceError)
    service.failures = [OSError("once")]
    runtime.register(service)
    runtime.boot()
    sim.advance(5.0)
    assert [(error.event, error.error) for error in errors] == [
        ("tick", "OSError: once"),
        ("stop", "ValueError: stuck"),
    ]
    assert status(runtime)["running"]


def test_restarts_are_the_same_in_every_run(sim: Simulation) -> None:
    """P10: the jitter of a service is the same in every run."""
    delays: list[list[float]] = []
    for _ in range(2):
        runtime, service = sim.runtime(), Working(interval=1.0)
        restarts = messages_of(runtime, message.ServiceRestart)
        service.failures = [ValueError("no") for _ in range(4)]
        runtime.register(service)
        runtime.boot()
        sim.advance(100.0)
        delays.append([restart.delay_s for restart in restarts])
    assert delays[0] == delays[1]


def test_a_slow_service_keeps_no_other_waiting(sim: Simulation) -> None:
    """P7: the ticks of one service do not depend on those of another."""
    runtime = sim.runtime()
    slow, quick = Working(interval=1.0), Working(interval=1.0)
    slow.name, quick.name = "slow", "quick"
    slow.durations = [100.0]
    runtime.register(slow)
    runtime.register(quick)
    runtime.boot()
    sim.advance(10.5)
    assert quick.begun == [float(n) for n in range(11)]
    assert slow.begun == [0.0]
