"""Supervision of services (promise P7), in simulated time."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from edgekernel import Context, Event, message
from tests.core.working import Simulation, Valve, Working, messages_of, status


class Ending(Working):
    """Ends each run by itself after a few ticks."""

    tick_limit = 3

    def start(self, ctx: Context) -> None:
        super().start(ctx)
        self.left = self.tick_limit

    def tick(self, ctx: Context) -> None:
        super().tick(ctx)
        self.left -= 1
        if not self.left:
            self.finish()


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

    def test_the_policy_no_stays_down(self, sim: Simulation) -> None:
        """P7: with `no`, a failure is the end, and is told as one."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        failures = messages_of(runtime, message.ServiceFailure)
        service.restart = "no"
        service.failures = [ValueError("once")]
        runtime.register(service)
        runtime.boot()
        sim.advance(100.0)
        assert service.steps == ["start 0", "stop 0"]
        assert (status(runtime)["state"], status(runtime)["running"]) == ("failed", False)
        assert failures == [message.ServiceFailure("working", "ValueError: once")]

    def test_the_policy_on_failure_restarts_what_failed_only(self, sim: Simulation) -> None:
        """P7: with `on-failure`, a run that failed is followed by another, one that ended not."""
        runtime, service = sim.runtime(), Ending(interval=1.0)
        service.restart = "on-failure"
        service.failures = [None, ValueError("once")]
        runtime.register(service)
        runtime.boot()
        sim.advance(100.0)
        assert [step.split()[0] for step in service.steps] == ["start", "stop"] * 2
        assert (status(runtime)["state"], status(runtime)["restarts"]) == ("ended", 1)

    def test_the_policy_always_restarts_what_ended_too(self, sim: Simulation) -> None:
        """P7: with `always`, a run that ends by itself, without an error, starts again too."""
        runtime, service = sim.runtime(), Ending(interval=1.0)
        errors = messages_of(runtime, message.ServiceError)
        restarts = messages_of(runtime, message.ServiceRestart)
        service.restart = "always"
        runtime.register(service)
        runtime.boot()
        sim.advance(6.0)
        assert [restart.attempt for restart in restarts] == [1, 2]
        first = 2.0 + restarts[0].delay_s
        assert service.begun == pytest.approx([0, 1, 2, first, first + 1, first + 2], abs=1e-6)
        assert errors == []

    def test_what_keeps_ending_uses_up_the_budget(self, sim: Simulation) -> None:
        """P7: with `always`, a run that ends at once again and again is given up in the end."""
        runtime, service = sim.runtime(), Ending(interval=0.0)
        failures = messages_of(runtime, message.ServiceFailure)
        service.restart = "always"
        service.tick_limit = 1
        runtime.register(service)
        runtime.boot()
        sim.advance(1000.0)
        [failure] = failures
        assert "keeps ending" in failure.error
        assert len(service.begun) == 6

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

    @pytest.mark.parametrize(
        "error",
        [
            SystemExit(3),
            KeyboardInterrupt("3"),
            BaseException("3"),
            BaseExceptionGroup("3", [KeyboardInterrupt()]),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("step", ["start", "tick"])
    def test_whatever_is_raised_is_a_failure(
        self, sim: Simulation, step: str, error: BaseException
    ) -> None:
        """P7: no exception of any kind ends the service without a word."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        errors = messages_of(runtime, message.ServiceError)
        (service.failures if step == "tick" else service.start_failures).append(error)
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        assert [(each.event, each.error.split(":")[0]) for each in errors] == [
            (step, type(error).__name__)
        ]
        assert status(runtime)["running"]

    def test_an_error_without_a_text_is_told(self, sim: Simulation) -> None:
        """P7: a failure whose text cannot be made is told by its class."""

        class Mute(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no words")

        runtime, service = sim.runtime(), Working(interval=1.0)
        errors = messages_of(runtime, message.ServiceError)
        service.failures = [Mute()]
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        assert [error.error for error in errors] == ["Mute: (its text cannot be made)"]
        assert status(runtime)["running"]

    def test_a_handler_that_interrupts_does_not_end_the_service(self, sim: Simulation) -> None:
        """P7: KeyboardInterrupt in a handler of its messages leaves the supervision going."""

        def interrupt(event: Event) -> None:
            raise KeyboardInterrupt

        runtime, service = sim.runtime(), Working(interval=1.0)
        service.failures = [ValueError("once")]
        for told in (message.ServiceStarted, message.ServiceError, message.ServiceStopped):
            runtime.subscribe(told, interrupt)
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        assert status(runtime)["restarts"] == 1
        assert status(runtime)["running"]

    def test_the_last_error_has_its_time(self, sim: Simulation) -> None:
        """P7: the status tells the last error, its time, and when the restart is due."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        restarts = messages_of(runtime, message.ServiceRestart)
        service.failures = [None, None, ValueError("no")]
        service.backoff_s = 10.0
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        now = status(runtime)
        assert (now["state"], now["running"], now["restarts"]) == ("waiting", False, 1)
        assert (now["last_error"], now["last_error_at"]) == (
            "ValueError: no",
            "2026-01-01T00:00:02+00:00",
        )
        assert now["restart_in_s"] == pytest.approx(restarts[0].delay_s - 3.0)
        sim.advance(20.0)
        assert status(runtime)["restart_in_s"] is None

    def test_a_run_that_was_well_resets_the_delay(self, sim: Simulation) -> None:
        """P7: after a run as long as the longest delay, the delay begins anew; before, it grows."""

        class Patient(Working):
            restart_budget = (100, 1e9)
            backoff_limit_s = 20.0

        runtime, service = sim.runtime(), Patient(interval=1.0)
        restarts = messages_of(runtime, message.ServiceRestart)
        for well in (0, 5, 19, 20, 0):
            service.failures += [None] * well + [ValueError("no")]
        runtime.register(service)
        runtime.boot()
        sim.advance(200.0)
        assert [round(math.log2(restart.delay_s)) for restart in restarts] == [0, 1, 2, 0, 1]

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


class TestCritical:
    def test_halts_although_its_stop_hangs(self, sim: Simulation) -> None:
        """P7: the safe state waits for neither the stop of what failed nor a handler of that."""
        runtime, service, valve = sim.runtime(), Working(interval=1.0), Valve("valve")
        service.critical = True
        service.failures = [None, ValueError("too hot")]
        service.stop_durations = [1000.0]
        runtime.subscribe(message.ServiceError, lambda _: runtime.clock.sleep(500.0))
        runtime.register(valve)
        runtime.register(service)
        runtime.boot()
        valve.open.set(True)
        sim.advance(1.001)
        assert valve.driven[-1] is False
        sim.advance(20.0)
        assert runtime.phase == "stopped"

    def test_one_that_ends_by_itself_is_no_halt(self, sim: Simulation) -> None:
        """P7: a critical service that has done its work leaves the runtime running."""
        runtime, service = sim.runtime(), Ending(interval=1.0)
        service.critical = True
        runtime.register(service)
        runtime.boot()
        sim.advance(20.0)
        assert (status(runtime)["state"], runtime.phase) == ("ended", "running")

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
