"""Control of services while the runtime runs (promise P7)."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from edgekernel import Context, Event, Message, Runtime, Service, command, message, on
from edgekernel.core.errors import LifecycleError, UnknownTargetError
from tests.core.working import (
    LONG_S,
    MakeRuntime,
    Simulation,
    Until,
    Working,
    messages_of,
    status,
)


class Please(Message):
    do: str


def booted(sim: Simulation, *services: Service, **options: Any) -> Runtime:
    """A runtime with these services that has just booted."""
    runtime = sim.runtime(**options)
    for service in services:
        runtime.register(service)
    runtime.boot()
    return runtime


class TestMapping:
    def test_is_the_services_by_name(self, sim: Simulation) -> None:
        """A11.8: the services can be looked up and walked through as a mapping."""
        one, two = Working(), Working()
        one.name, two.name = "one", "two"
        services = booted(sim, one, two).services
        assert dict(services) == {"one": one, "two": two}
        assert (services["one"], len(services), "two" in services) == (one, 2, True)
        assert services.names() == ["one", "two"]

    @pytest.mark.parametrize("method", ["start", "stop", "restart", "enable", "disable", "status"])
    def test_unknown_names_are_refused_with_the_nearest(self, sim: Simulation, method: str) -> None:
        """P11: only the exact name does something; the error suggests the nearest."""
        services = booted(sim, Working()).services
        with pytest.raises(UnknownTargetError, match="did you mean 'working'"):
            getattr(services, method)("wroking")

    def test_status_before_the_boot_is_empty(self, sim: Simulation) -> None:
        """A service that was never attached has no status; stopping it is no error."""
        runtime = sim.runtime()
        runtime.register(Working())
        services = runtime.services
        assert (services.status("working"), services.statuses(), services.running()) == (
            {}, {}, [],
        )  # fmt: skip
        assert services.stop("working")
        with pytest.raises(LifecycleError, match="only while the runtime is running"):
            services.start("working")

    def test_statuses_are_ready_for_json(self, sim: Simulation) -> None:
        """B2.4: the status of all services is data."""
        services = booted(sim, Working()).services
        sim.advance(1.5)
        assert json.loads(json.dumps(services.statuses())) == services.statuses()
        assert services.statuses() == {"working": services.status("working")}


class TestStopAndStart:
    def test_stop_ends_the_sleep_and_start_begins_a_new_run(self, sim: Simulation) -> None:
        """P7: stop ends a sleep at once and calls `stop`; start really starts anew."""
        service = Working(interval=10.0)
        services = booted(sim, service).services
        sim.advance(3.0)
        assert services.stop("working")
        assert sim.clock.monotonic() == 3.0
        assert (services.running(), services.status("working")["state"]) == ([], "stopped")
        sim.advance(30.0)
        services.start("working")
        sim.advance(5.0)
        assert service.steps == ["start 0", "stop 3", "start 33"]
        assert service.begun == [0.0, 33.0]
        assert services.running() == ["working"]

    def test_stop_waits_for_the_tick_up_to_its_limit(self, sim: Simulation) -> None:
        """P7: stop says whether the service has stopped within the time; it does so later."""
        service = Working(interval=1.0)
        service.durations = [8.0]
        services = booted(sim, service).services
        sim.advance(1.0)
        assert not services.stop("working", timeout_s=2.0)
        assert sim.clock.monotonic() == 3.0
        assert services.stop("working", timeout_s=60.0)
        assert sim.clock.monotonic() == 8.0
        assert service.steps == ["start 0", "stop 8"]

    def test_starting_what_runs_and_stopping_what_does_not_change_nothing(
        self, sim: Simulation
    ) -> None:
        """P7: a second start or stop is harmless."""
        service = Working(interval=1.0)
        services = booted(sim, service).services
        sim.advance(2.5)
        services.start("working")
        sim.advance(2.0)
        assert services.stop("working")
        assert services.stop("working")
        assert service.begun == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert service.steps == ["start 0", "stop 4.5"]

    def test_a_start_while_it_stops_is_not_lost(self, sim: Simulation) -> None:
        """P7: a start during the last tick before a stop begins a new run after that stop."""
        service = Working(interval=100.0)
        service.durations = [8.0]
        services = booted(sim, service).services
        sim.advance(1.0)
        services.stop("working", timeout_s=0.0)
        services.start("working")
        sim.advance(20.0)
        assert service.steps == ["start 0", "stop 8", "start 8"]

    def test_a_stop_after_that_start_counts(self, sim: Simulation) -> None:
        """P7: of several requests during a tick, the last one holds."""
        service = Working(interval=100.0)
        service.durations = [8.0]
        services = booted(sim, service).services
        sim.advance(1.0)
        services.restart("working", timeout_s=0.0)
        services.stop("working", timeout_s=0.0)
        sim.advance(20.0)
        assert service.steps == ["start 0", "stop 8"]

    def test_restart(self, sim: Simulation) -> None:
        """P7: restart is stop and start, and says whether the old run has ended in time."""
        service = Working(interval=100.0)
        service.durations = [0.0, 8.0]
        services = booted(sim, service).services
        sim.advance(1.0)
        assert services.restart("working")
        sim.advance(1.0)
        assert not services.restart("working", timeout_s=2.0)
        sim.advance(20.0)
        assert service.steps == ["start 0", "stop 1", "start 1", "stop 9", "start 9"]

    def test_restart_starts_what_is_stopped(self, sim: Simulation) -> None:
        """P7: a restart of a stopped service starts it."""
        service = Working(interval=100.0)
        services = booted(sim, service).services
        sim.advance(1.0)
        services.stop("working")
        assert services.restart("working")
        sim.advance(1.0)
        assert service.steps == ["start 0", "stop 1", "start 1"]

    def test_start_ends_the_wait_for_a_restart(self, sim: Simulation) -> None:
        """P7: an operator need not wait for the backoff."""
        service = Working(interval=1.0)
        service.backoff_s = 50.0
        service.failures = [ValueError("once")]
        services = booted(sim, service).services
        sim.advance(2.0)
        assert services.status("working")["state"] == "waiting"
        services.start("working")
        sim.advance(1.5)
        assert service.begun == [0.0, 2.0, 3.0]
        assert services.status("working")["restart_in_s"] is None

    def test_stop_ends_the_wait_for_a_restart(self, sim: Simulation) -> None:
        """P7: a service that waits for its restart is stopped at once."""
        service = Working(interval=1.0)
        service.backoff_s = 50.0
        service.failures = [ValueError("once")]
        services = booted(sim, service).services
        sim.advance(2.0)
        assert services.stop("working")
        assert sim.clock.monotonic() == 2.0
        sim.advance(100.0)
        assert service.steps == ["start 0", "stop 0"]

    def test_start_after_giving_up_has_a_new_budget(self, sim: Simulation) -> None:
        """P7: a service that was given up can be started, with all its restarts."""
        service = Working(interval=1.0)
        service.failures = [ValueError("no")] * 11
        services = booted(sim, service).services
        sim.advance(200.0)
        assert services.status("working")["state"] == "failed"
        services.start("working")
        sim.advance(200.0)
        assert services.status("working")["state"] == "running"
        assert services.status("working")["restarts"] == 10

    def test_not_after_the_shutdown(self, sim: Simulation) -> None:
        """P6: nothing starts a service in a runtime that stops or has stopped."""
        service = Working(interval=1.0)
        runtime = booted(sim, service)
        refused: list[str] = []

        def start(event: Event) -> None:
            with pytest.raises(LifecycleError) as caught:
                runtime.services.start("working")
            refused.append(str(caught.value))

        runtime.subscribe(message.ServiceStopped, start)
        sim.advance(1.5)
        runtime.shutdown()
        with pytest.raises(LifecycleError):
            runtime.services.restart("working")
        runtime.services.enable("working")
        sim.advance(10.0)
        assert service.steps == ["start 0", "stop 1.5"]
        assert len(refused) == 1


class TestEnableAndDisable:
    def test_disable_keeps_it_down(self, sim: Simulation) -> None:
        """P7: a disabled service is stopped, and nothing but `enable` starts it."""
        service = Working(interval=1.0)
        services = booted(sim, service).services
        sim.advance(1.5)
        assert services.disable("working")
        for start in (services.start, services.restart):
            with pytest.raises(LifecycleError, match="disabled"):
                start("working")
        sim.advance(10.0)
        assert (services.status("working")["state"], services.status("working")["enabled"]) == (
            "disabled",
            False,
        )
        services.enable("working")
        sim.advance(1.0)
        assert service.steps == ["start 0", "stop 1.5", "start 11.5"]

    def test_a_disabled_service_is_not_restarted(self, sim: Simulation) -> None:
        """P7: disabled in its last tick, by itself, a service that fails stays down."""

        class Failing(Working):
            def tick(self, ctx: Context) -> None:
                super().tick(ctx)
                ctx.runtime.services.disable("working")
                raise ValueError("and now this")

        service = Failing(interval=1.0)
        services = booted(sim, service).services
        sim.advance(100.0)
        assert service.steps == ["start 0", "stop 0"]
        assert services.status("working")["state"] == "disabled"

    def test_holds_for_a_later_boot(self, sim: Simulation) -> None:
        """P7: a service disabled before the boot, or in another runtime, does not start."""
        service = Working(interval=1.0)
        first = booted(sim, service)
        sim.advance(0.5)
        first.services.disable("working")
        first.shutdown()
        second = booted(sim, service)
        sim.advance(10.0)
        assert service.steps == ["start 0", "stop 0.5"]
        second.services.enable("working")
        sim.advance(1.0)
        assert service.steps[-1].startswith("start")

    def test_enable_before_the_boot(self, sim: Simulation) -> None:
        """P7: a service that is off by default can be enabled before the boot."""
        runtime, service = sim.runtime(), Working(interval=1.0)
        service.enabled = False
        runtime.register(service)
        runtime.services.enable("working")
        runtime.boot()
        sim.advance(0.5)
        assert service.begun == [0.0]


class Obeying(Working):
    """Asks for something about itself, in its first tick or in a handler."""

    def __init__(self, do: str = "") -> None:
        super().__init__(interval=1.0)
        self.do = do
        self.answers: list[object] = []

    def obey(self, ctx: Context, do: str) -> None:
        self.answers.append(getattr(ctx.runtime.services, do)(self.name))

    def tick(self, ctx: Context) -> None:
        super().tick(ctx)
        if self.do and len(self.begun) == 1:
            self.obey(ctx, self.do)

    @on(Please)
    def please(self, event: Event) -> None:
        assert isinstance(event.payload, Please)
        self.obey(self.ctx, event.payload.do)

    @command
    def ask(self, do: str) -> None:
        self.obey(self.ctx, do)


class TestFromWithin:
    @pytest.mark.parametrize("do", ["stop", "restart", "disable"])
    def test_from_its_own_tick(self, sim: Simulation, do: str) -> None:
        """P7: a service that stops itself is not waited for: it stops after its tick."""
        service = Obeying(do)
        services = booted(sim, service).services
        sim.advance(0.5)
        assert service.answers == [False]
        expected = {"stop": "stopped", "restart": "running", "disable": "disabled"}[do]
        assert services.status("working")["state"] == expected
        assert service.steps[:2] == ["start 0", "stop 0"]
        assert len(service.steps) == (3 if do == "restart" else 2)

    @pytest.mark.parametrize("do", ["stop", "restart", "disable"])
    def test_from_its_own_handler(self, sim: Simulation, do: str) -> None:
        """P7: a handler of the service may stop it, and keeps nobody waiting."""
        service = Obeying()
        runtime = booted(sim, service)
        sim.advance(0.5)
        runtime.emit(Please(do))
        assert sim.clock.monotonic() == 0.5
        sim.advance(0.25)
        assert service.answers == [False]
        assert service.steps[:2] == ["start 0", "stop 0.5"]
        assert (runtime.services.running() == ["working"]) == (do == "restart")

    def test_from_its_own_command(self, sim: Simulation) -> None:
        """P7: a command may stop the service that has it."""
        service = Obeying()
        runtime = booted(sim, service)
        sim.advance(0.5)
        runtime.invoke("working.ask", {"do": "stop"})
        sim.advance(0.25)
        assert service.steps == ["start 0", "stop 0.5"]

    @pytest.mark.parametrize("do", ["stop", "restart"])
    def test_from_its_own_start_and_stop(self, sim: Simulation, do: str) -> None:
        """P7: asked for in `start` it holds after that; asked for in `stop` it changes nothing."""

        class Restless(Working):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                if len(self.steps) == 1:
                    getattr(ctx.runtime.services, do)(self.name)

            def stop(self, ctx: Context) -> None:
                super().stop(ctx)
                ctx.runtime.services.stop(self.name)

        service = Restless(interval=1.0)
        services = booted(sim, service).services
        sim.advance(5.5)
        assert service.steps == ["start 0", "stop 0"]
        assert services.running() == []

    def test_two_that_stop_one_another(self, sim: Simulation) -> None:
        """P7: two services that stop each other in their ticks both end, within the limit."""

        class Killer(Working):
            victim = ""

            def tick(self, ctx: Context) -> None:
                super().tick(ctx)
                if len(self.begun) == 2:
                    ctx.clock.sleep(0.5)
                    ctx.runtime.services.stop(self.victim, timeout_s=3.0)

        one, two = Killer(interval=1.0), Killer(interval=1.0)
        one.name, two.name = "one", "two"
        one.victim, two.victim = "two", "one"
        services = booted(sim, one, two).services
        sim.advance(5.0)
        assert services.running() == []
        assert (one.steps, two.steps) == (["start 0", "stop 4.5"], ["start 0", "stop 4.5"])

    def test_with_real_threads(self, make_runtime: MakeRuntime, until: Until) -> None:
        """P7: on real threads, too, no service waits for its own end."""
        runtime, service = make_runtime(), Obeying("restart")
        errors = messages_of(runtime, message.ServiceError)
        runtime.register(service)
        runtime.boot()
        until(lambda: len(service.steps) == 3)
        runtime.emit(Please("stop"))
        until(lambda: status(runtime)["state"] == "stopped")
        assert errors == []
        assert service.answers == [False, False]


class TestUnderStress:
    def test_many_threads_control_one_service(
        self, make_runtime: MakeRuntime, eager_switching: None
    ) -> None:
        """P7: whatever eight threads ask for, starts and stops alternate, and the last holds."""
        wrong: list[str] = []

        class Strict(Service):
            name = "strict"
            interval = 0.001
            starts = stops = 0
            live = False

            def start(self, ctx: Context) -> None:
                if self.live:
                    wrong.append("started while live")
                self.live = True
                self.starts += 1

            def tick(self, ctx: Context) -> None:
                if not self.live:
                    wrong.append("ticked while not live")

            def stop(self, ctx: Context) -> None:
                if not self.live:
                    wrong.append("stopped while not live")
                self.live = False
                self.stops += 1

        runtime, service = make_runtime(), Strict()
        runtime.register(service)
        runtime.boot()
        services = runtime.services

        def stop() -> None:
            if not services.stop("strict", timeout_s=LONG_S):
                wrong.append("it did not stop")

        calls: list[Any] = [
            lambda: services.start("strict"),
            stop,
            lambda: services.restart("strict", timeout_s=LONG_S),
            lambda: services.status("strict"),
        ]
        failures: list[BaseException] = []

        def control(n: int) -> None:
            try:
                for i in range(60):
                    calls[(n + i * (1 + n % 3)) % len(calls)]()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=control, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert (wrong, failures) == ([], [])
        assert services.stop("strict", timeout_s=LONG_S)
        assert service.starts == service.stops > 1
        assert services.status("strict")["state"] == "stopped"
        services.start("strict")
        runtime.shutdown()
        assert service.starts == service.stops
        assert wrong == []

    def test_a_shutdown_beats_all_that_start(
        self, make_runtime: MakeRuntime, eager_switching: None
    ) -> None:
        """P6: with four threads restarting services, a shutdown leaves none of them running."""
        runtime = make_runtime()
        services = []
        for n in range(4):
            service = Working(interval=0.001)
            service.name = f"s{n}"
            services.append(service)
            runtime.register(service)
        runtime.boot()

        def restart(name: str) -> None:
            try:
                while True:
                    runtime.services.restart(name)
            except LifecycleError:
                pass

        threads = [threading.Thread(target=restart, args=(each.name,)) for each in services]
        for thread in threads:
            thread.start()
        runtime.shutdown()
        for thread in threads:
            thread.join(LONG_S)
        assert runtime.services.running() == []
        assert all(each["state"] == "stopped" for each in runtime.services.statuses().values())
        for service in services:
            words = [step.split()[0] for step in service.steps]
            assert words == ["start", "stop"] * (len(words) // 2)
