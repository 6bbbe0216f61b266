"""Shutdown: when, from where and in which order (promise P6)."""

from __future__ import annotations

import threading

import pytest

from edgekernel import (
    Context,
    Event,
    message,
    on,
    requires,
)
from edgekernel.core.errors import BootError, LifecycleError, UnavailableError
from tests.core.parts import (
    LONG_S,
    SHORT_S,
    Lamp,
    MakeRuntime,
    NotingInterface,
    NotingProcess,
    NotingService,
    Simulation,
    Steps,
    Tick,
    Until,
    messages_of,
)


class TestShutdown:
    def test_is_the_reverse_of_the_boot(self, sim: Simulation, steps: Steps) -> None:
        """P6: services, interfaces, processes, devices stop in the reverse of their order."""
        runtime = sim.runtime()
        for name in ("d1", "d2"):
            runtime.register(Lamp(name, steps))
        for kind, names in ((NotingProcess, "ab"), (NotingInterface, "cd"), (NotingService, "ef")):
            for name in names:
                runtime.register(kind(name, steps))
        runtime.boot()
        sim.advance(1.0)
        runtime.shutdown()
        stops = steps.of("stop", "disconnect")
        assert sorted(stops[:2]) == ["stop e", "stop f"]
        rest = ["stop d", "stop c", "stop b", "stop a", "disconnect d2", "disconnect d1"]
        assert stops[2:] == rest

    def test_outputs_are_safe_before_anything_stops_and_stay_so(
        self, make_runtime: MakeRuntime, steps: Steps, until: Until
    ) -> None:
        """P6, P8: outputs reach safe first; a later set is refused with the reason."""
        refused: list[str] = []

        class Stubborn(NotingService):
            lamp = requires(Lamp)

            def start(self, ctx: Context) -> None:
                super().start(ctx)
                self.lamp.power.set(True)

            def stop(self, ctx: Context) -> None:
                super().stop(ctx)
                try:
                    self.lamp.power.set(True)
                except UnavailableError as error:
                    refused.append(str(error))

        runtime = make_runtime()
        runtime.register(Lamp("lamp", steps))
        runtime.register(Stubborn("stubborn", steps))
        runtime.boot()
        until(lambda: runtime.status()["services"]["stubborn"]["running"])
        runtime.shutdown("enough")
        relevant = steps.of("drive", "stop", "disconnect")
        assert relevant[:4] == [
            "drive lamp False",
            "drive lamp True",
            "drive lamp False",
            "stop stubborn",
        ]
        assert "drive lamp True" not in relevant[3:]
        [text] = refused
        assert text == "lamp.power: not set to True: the node is stopping: enough"

    def test_twice(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P6: a second shutdown is harmless."""
        runtime = make_runtime()
        runtime.register(NotingProcess("process", steps))
        told = messages_of(runtime, message.RuntimeShutdown)
        runtime.boot()
        runtime.shutdown("first")
        runtime.shutdown("second")
        assert steps.all == ["start process", "stop process"]
        assert [each.reason for each in told] == ["first"]

    def test_before_the_boot(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P6: a shutdown that comes before the boot is not lost: nothing ever starts."""
        runtime = make_runtime()
        runtime.register(NotingProcess("process", steps))
        runtime.shutdown("too early")
        assert runtime.phase == "stopped"
        with pytest.raises(LifecycleError, match="the runtime is stopped"):
            runtime.boot()
        runtime.wait_until_stopped()
        runtime.shutdown("again")
        assert steps.all == []

    def test_from_many_threads_at_once(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P6: many simultaneous shutdowns are one, and all return after it."""
        runtime = make_runtime()
        runtime.register(NotingProcess("process", steps))
        runtime.boot()
        states: list[str] = []

        def stop() -> None:
            runtime.shutdown()
            states.append(str(runtime.phase))

        threads = [threading.Thread(target=stop) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert states == ["stopped"] * 8
        assert steps.of("stop") == ["stop process"]

    def test_from_a_handler(self, make_runtime: MakeRuntime, steps: Steps, until: Until) -> None:
        """P6: inside a handler it returns at once, and the shutdown goes on beside it."""
        runtime = make_runtime()

        class Quitting(NotingProcess):
            @on(Tick)
            def quit(self, event: Event) -> None:
                self.ctx.runtime.shutdown("a handler said so")
                self.steps("handler goes on")

        runtime.register(Quitting("quitting", steps))
        runtime.boot()
        runtime.emit(Tick())
        until(lambda: runtime.phase == "stopped")
        assert steps.all == ["start quitting", "handler goes on", "stop quitting"]

    def test_from_the_message_about_it(self, make_runtime: MakeRuntime) -> None:
        """P6: a shutdown while RuntimeShuttingDown is handled does not recurse."""
        runtime = make_runtime()
        told = messages_of(runtime, message.RuntimeShuttingDown)
        runtime.subscribe(message.RuntimeShuttingDown, lambda _: runtime.shutdown("again"))
        runtime.boot()
        runtime.shutdown("once")
        assert [each.reason for each in told] == ["once"]
        assert runtime.phase == "stopped"

    @pytest.mark.parametrize("step", ["start", "tick", "stop"])
    def test_from_a_service(
        self, make_runtime: MakeRuntime, steps: Steps, until: Until, step: str
    ) -> None:
        """P6: a service may shut down from start, tick or stop, and is stopped itself."""

        class Quitting(NotingService):
            def shut_down(self, ctx: Context, now: str) -> None:
                if now == step:
                    ctx.runtime.shutdown(f"from {now}")

            def start(self, ctx: Context) -> None:
                super().start(ctx)
                self.shut_down(ctx, "start")

            def tick(self, ctx: Context) -> None:
                self.shut_down(ctx, "tick")

            def stop(self, ctx: Context) -> None:
                super().stop(ctx)
                self.shut_down(ctx, "stop")

        runtime = make_runtime()
        told = messages_of(runtime, message.RuntimeShuttingDown)
        runtime.register(Lamp("lamp", steps))
        runtime.register(Quitting("quitting", steps))
        runtime.boot()
        if step == "stop":
            until(lambda: runtime.status()["services"]["quitting"]["running"])
            runtime.shutdown("from outside")
        until(lambda: runtime.phase == "stopped")
        assert steps.all[-1] == "disconnect lamp"
        assert steps.of("stop") == ["stop quitting"]
        assert [each.reason for each in told] == [f"from {step if step != 'stop' else 'outside'}"]

    @pytest.mark.parametrize("kind", ["device", "process"])
    def test_in_the_middle_of_the_boot(
        self, make_runtime: MakeRuntime, steps: Steps, kind: str
    ) -> None:
        """P6: a shutdown by a part that starts ends the boot; what had started is stopped once."""

        class QuittingLamp(Lamp):
            def connect(self) -> None:
                super().connect()
                if kind == "device":
                    self.ctx.runtime.shutdown("from connect")

        class Quitting(NotingProcess):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                ctx.runtime.shutdown("from start")

        runtime = make_runtime()
        told = messages_of(runtime, message.RuntimeShutdown)
        booted = messages_of(runtime, message.RuntimeBooted)
        runtime.register(QuittingLamp("lamp", steps))
        runtime.register(Lamp("later lamp", steps))
        runtime.register(Quitting("quitting", steps))
        runtime.register(NotingProcess("later", steps))
        with pytest.raises((LifecycleError, BootError)):
            runtime.boot()
        assert runtime.phase == "stopped"
        assert [each.reason for each in told] == [
            "from connect" if kind == "device" else "from start"
        ]
        assert booted == []
        assert "start later" not in steps.all
        starts = steps.of("start", "connect")
        assert len(steps.of("stop", "disconnect")) == len(starts)
        assert len(set(steps.of("stop", "disconnect"))) == len(starts)

    def test_by_a_part_that_starts_takes_no_time(self, sim: Simulation, steps: Steps) -> None:
        """P6: nobody waits for a boot that waits for the shutdown itself, or says it hangs."""

        class Quitting(NotingProcess):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                ctx.runtime.shutdown("from start")

        runtime = sim.runtime()
        failed = messages_of(runtime, message.ShutdownStepFailed)
        runtime.register(Lamp("lamp", steps))
        runtime.register(Quitting("quitting", steps))
        with pytest.raises((LifecycleError, BootError)):
            runtime.boot()
        assert runtime.phase == "stopped"
        assert sim.clock.monotonic() == 0.0
        assert failed == []

    def test_from_another_thread_during_the_boot(
        self, make_runtime: MakeRuntime, steps: Steps
    ) -> None:
        """P6: a shutdown from outside waits for the part that is starting, then stops all once."""
        starting, go_on = threading.Event(), threading.Event()

        class Slow(NotingProcess):
            def start(self, ctx: Context) -> None:
                super().start(ctx)
                starting.set()
                assert go_on.wait(LONG_S)
                self.steps("started slow")

        runtime = make_runtime()
        runtime.register(Lamp("lamp", steps))
        runtime.register(Slow("slow", steps))
        runtime.register(NotingProcess("later", steps))
        failures: list[BaseException] = []

        def boot() -> None:
            try:
                runtime.boot()
            except Exception as error:
                failures.append(error)

        booting = threading.Thread(target=boot)
        booting.start()
        assert starting.wait(LONG_S)
        stopping = threading.Thread(target=runtime.shutdown)
        stopping.start()
        go_on.set()
        stopping.join(LONG_S)
        booting.join(LONG_S)
        assert runtime.phase == "stopped"
        assert len(failures) == 1
        assert steps.of("start", "stop") == ["start slow", "started slow", "stop slow"]
        assert steps.all[-1] == "disconnect lamp"

    def test_while_the_boot_hangs(
        self, make_runtime: MakeRuntime, steps: Steps, gate: threading.Event, until: Until
    ) -> None:
        """P6: a part that hangs in its start is passed over; when it ends, it is let go."""
        starting = threading.Event()

        class Hanging(Lamp):
            def connect(self) -> None:
                super().connect()
                starting.set()
                assert gate.wait(LONG_S)

        runtime = make_runtime(shutdown_limit_s=SHORT_S)
        runtime.register(Lamp("lamp", steps))
        runtime.register(Hanging("hanging", steps))
        failures: list[BaseException] = []

        def boot() -> None:
            try:
                runtime.boot()
            except Exception as error:
                failures.append(error)

        booting = threading.Thread(target=boot)
        booting.start()
        assert starting.wait(LONG_S)
        runtime.shutdown()
        assert runtime.phase == "stopped"
        assert "disconnect lamp" in steps.all
        gate.set()
        booting.join(LONG_S)
        assert len(failures) == 1
        until(lambda: "disconnect hanging" in steps.all)
        assert not runtime.devices["hanging"].attached

    def test_a_service_is_not_started_after_it(
        self, make_runtime: MakeRuntime, steps: Steps, until: Until
    ) -> None:
        """P6: when the first service shuts down at once, no later one begins behind its back."""

        class Quitting(NotingService):
            def start(self, ctx: Context) -> None:
                ctx.runtime.shutdown("no")

        for _ in range(20):
            runtime = make_runtime()
            ghosts = [NotingService(f"s{n}", steps) for n in range(5)]
            runtime.register(Quitting("quitting", steps))
            for ghost in ghosts:
                runtime.register(ghost)
            runtime.boot()
            until(lambda runtime=runtime: runtime.phase == "stopped")  # type: ignore[misc]
            assert len(steps.of("start")) == len(steps.of("stop")) - steps.of("stop").count(
                "stop quitting"
            )
