"""Ticks and runs of services (promise P7), in simulated time."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from edgekernel import Context, Service, message
from edgekernel.core.errors import BootError
from tests.core.working import LONG_S, MakeRuntime, Simulation, Working, messages_of, status


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

    def test_figures_tell_the_last_and_the_worst(self, sim: Simulation) -> None:
        """P7: the status has duration and lateness of the last tick and of the worst."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        service.durations = [0.25, 0.75, 0.5]
        runtime.register(service)
        runtime.boot()
        sim.advance(2.75)
        now = status(runtime)
        assert (now["tick_s"], now["tick_max_s"]) == (0.5, 0.75)
        assert (now["lateness_s"], now["lateness_max_s"], now["busy_s"]) == (0.0, 0.0, None)
        assert (now["state"], now["interval_s"], now["restart"]) == ("running", 1.0, "on-failure")

    def test_lateness_of_a_tick_after_a_late_deadline(self, sim: Simulation) -> None:
        """P7: a tick that begins after its deadline says by how much."""

        class Late(Working):
            def next_deadline_ns(self, deadline_ns: int, now_ns: int) -> int:
                deadline = super().next_deadline_ns(deadline_ns, now_ns)
                self.wake()
                return deadline

            def woken(self, deadline_ns: int) -> int:
                self.ctx.clock.sleep(1.5 if len(self.begun) == 2 else 0.0)
                return deadline_ns

        runtime, service = sim.runtime(), Late(interval=1.0)
        runtime.register(service)
        runtime.boot()
        sim.advance(3.25)
        assert service.begun == [0.0, 1.0, 2.5, 3.0]
        assert status(runtime)["lateness_max_s"] == 0.5
        assert status(runtime)["lateness_s"] == 0.0

    def test_ticks_at_interval_zero_that_never_wait_are_a_failure(self, sim: Simulation) -> None:
        """P10: simulated time does not stand still for ever in a service that does not wait."""

        class Busy(Service):
            name = "busy"
            interval = 0.0
            restart = "no"

        runtime = sim.runtime()
        errors = messages_of(runtime, message.ServiceError)
        runtime.register(Busy())
        runtime.boot()
        sim.advance(1.0)
        [error] = errors
        assert "the ticks do not wait on the clock" in error.error
        assert status(runtime, "busy")["state"] == "failed"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("interval", -1.0),
            ("interval", float("inf")),
            ("interval", float("nan")),
            ("tick_limit_s", 0.0),
            ("restart", "on_failure"),
            ("backoff_s", -1.0),
            ("restart_budget", (-1, 300.0)),
            ("restart_budget", (5, 0.0)),
        ],
    )
    def test_settings_that_mean_nothing_are_refused(
        self, sim: Simulation, field: str, value: Any
    ) -> None:
        """P5: a service with settings that mean nothing keeps the runtime from booting."""
        runtime, service = sim.runtime(), Working()
        setattr(service, field, value)
        runtime.register(service)
        with pytest.raises(BootError) as caught:
            runtime.boot()
        [error] = caught.value.exceptions
        assert f"working.{field} is {value!r}" in str(error)


class TestFinish:
    def test_ends_the_run_after_the_tick(self, sim: Simulation) -> None:
        """P7: a service ends its run by itself: it is stopped, and nothing has failed."""

        class Once(Working):
            def tick(self, ctx: Context) -> None:
                super().tick(ctx)
                if len(self.begun) == 3:
                    self.finish()

        runtime, service = sim.runtime(), Once(interval=1.0)
        failures = messages_of(runtime, message.ServiceFailure)
        runtime.register(service)
        runtime.boot()
        sim.advance(10.0)
        assert service.begun == [0.0, 1.0, 2.0]
        assert service.steps == ["start 0", "stop 2"]
        assert (status(runtime)["state"], status(runtime)["running"]) == ("ended", False)
        assert failures == []

    def test_from_a_handler_ends_the_sleep(self, sim: Simulation) -> None:
        """P7: between ticks, whoever finishes the service ends its run at once."""
        runtime, service = sim.runtime(), Working(interval=100.0)
        runtime.register(service)
        runtime.boot()
        sim.advance(4.0)
        service.finish()
        sim.advance(1.0)
        assert service.steps == ["start 0", "stop 4"]

    def test_in_start_means_no_tick(self, sim: Simulation) -> None:
        """P7: a service that is done when it has started does not tick."""

        class Done(Working):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                self.finish()

        runtime, service = sim.runtime(), Done(interval=1.0)
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        assert (service.steps, service.begun) == (["start 0", "stop 0"], [])
        assert status(runtime)["state"] == "ended"
