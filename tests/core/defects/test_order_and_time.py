"""One exact command, one order, one time: defects 5, 8 and 9 of the seeds (SEEDS D2)."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from edgekernel import (
    Context,
    Device,
    Event,
    Message,
    Policy,
    Process,
    Runtime,
    Service,
    command,
    message,
    on,
    output,
)
from edgekernel.core.errors import ForbiddenError, UnknownTargetError
from edgekernel.core.messages import find
from edgekernel.sim import SimClock
from tests.core.parts import LONG_S, MakeRuntime, Simulation, Until, messages_of


class Switch(Device):
    """Notes what it is driven to."""

    power = output(bool, safe=False)

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.driven: list[bool] = []

    @power.drive
    def drive(self, value: bool) -> bool:
        self.driven.append(value)
        return value


class Relay(Switch):
    @command
    def on(self) -> None:
        self.power.set(True)


class Valve(Switch):
    @command
    def open(self) -> None:
        self.power.set(True)


class TestOnlyTheExactCommandRuns:
    """D2 #5 (K37)."""

    @pytest.mark.parametrize(
        "name", ["relay.off", "relay.on_tool", "relay.on_helper", "relay.no", "valve-2.open"]
    )
    def test_no_other_one_in_its_place(self, make_runtime: MakeRuntime, name: str) -> None:
        """D2 #5, K37: with only relay.on and valve-1.open there, nothing near them drives one."""
        runtime, relay, valve = make_runtime(), Relay("relay"), Valve("valve-1")
        runtime.register(relay)
        runtime.register(valve)
        runtime.boot()
        with pytest.raises(UnknownTargetError):
            runtime.invoke(name)
        assert (relay.driven, valve.driven) == ([False], [False])

    def test_what_is_denied_has_no_other_name(self, make_runtime: MakeRuntime) -> None:
        """D2 #5, K37: a policy that denies relay.on cannot be passed by another spelling."""
        runtime, relay = make_runtime(), Relay("relay")
        runtime.register(relay)
        runtime.boot()
        runtime.policies.set("*", Policy(deny=("relay.on",)))
        with pytest.raises(ForbiddenError):
            runtime.invoke("relay.on")
        for name in ("relay.on_tool", "relay.On", "relay_on", "relay. on"):
            with pytest.raises(UnknownTargetError):
                runtime.invoke(name)
        assert relay.driven == [False]


class Number(Message):
    n: int


class Alarm(Message):
    n: int


class Noting(Process):
    """Notes what it sees, and how many threads are in it at the same time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[Message] = []
        self.inside = self.most = 0

    @on(Number, Alarm)
    def note(self, event: Event) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.seen.append(event.payload)
        self.inside -= 1


class TestCausesComeBeforeEffects:
    """D2 #8 (B9, B10, B11, B13, B13b, B13c, B13d)."""

    def test_in_every_handler(self, make_runtime: MakeRuntime) -> None:
        """D2 #8, B13: who is registered last sees the cause first, too."""

        class Reacting(Process):
            name = "reacting"

            @on(Number)
            def react(self, event: Event) -> None:
                self.ctx.emit(Alarm(event.payload.n))  # type: ignore[attr-defined]

        runtime, last = make_runtime(), Noting("last")
        runtime.register(Reacting())
        runtime.register(last)
        runtime.boot()
        for n in (1, 2):
            runtime.emit(Number(n))
        assert last.seen == [Number(1), Alarm(1), Number(2), Alarm(2)]

    def test_a_process_is_entered_by_one_thread(
        self, make_runtime: MakeRuntime, until: Until, eager_switching: None
    ) -> None:
        """D2 #8, B13c: five threads emit at once, and the process handles one after the other."""
        runtime, noting = make_runtime(), Noting("noting")
        runtime.register(noting)
        runtime.boot()

        def emit_all() -> None:
            for n in range(100):
                runtime.emit(Number(n))

        threads = [threading.Thread(target=emit_all) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        until(lambda: len(noting.seen) == 500)
        assert noting.most == 1

    def test_no_handler_outside_of_its_life(self, make_runtime: MakeRuntime) -> None:
        """D2 #8, B10: the first event comes after `start`, the last one before `stop`."""
        steps: list[str] = []

        class Living(Process):
            name = "living"

            def start(self, ctx: Context) -> None:
                steps.append("start")

            def handle_event(self, ctx: Context, evt: Event) -> None:
                steps.append(evt.payload.name)

            def stop(self, ctx: Context) -> None:
                steps.append("stop")

        runtime = make_runtime()
        runtime.register(Living())
        runtime.register(Switch("switch"))
        runtime.boot()
        runtime.shutdown()
        assert (steps[0], steps[-1]) == ("start", "stop")
        assert "runtime.booted" in steps
        assert "device.attached" not in steps  # it was told before the start

    def test_an_emitter_is_not_kept_by_others_handlers(self, sim: Simulation) -> None:
        """D2 #8, B13d: a service of 10 ms ticks on time while a handler takes 100 ms."""

        class Fast(Service):
            name = "fast"
            interval = 0.01

            def tick(self, ctx: Context) -> None:
                ctx.runtime.post(Number(round(ctx.clock.monotonic() * 100)))

        runtime = sim.runtime(slow_turn_s=60.0)
        runtime.register(Fast())
        begun: list[int] = []

        def slow(event: Event) -> None:
            begun.append(event.payload.n)  # type: ignore[attr-defined]
            if len(begun) <= 5:
                sim.clock.sleep(0.1)

        runtime.subscribe(Number, slow)
        runtime.boot()
        sim.advance(0.995)
        assert begun == list(range(100))
        figures = runtime.services.status("fast")
        assert (figures["ticks"], figures["missed"]) == (100, 0)

    def test_an_error_in_an_error_handler_is_kept(self, make_runtime: MakeRuntime) -> None:
        """D2 #8, B11: a broken alarm handler is in the list of errors, and calls nobody again."""
        runtime = make_runtime()

        def broken(event: Event) -> None:
            raise ValueError("the alarm is broken")

        def failing(event: Event) -> None:
            raise OSError("no answer")

        runtime.subscribe(message.EventSubscriberError, broken)
        runtime.subscribe(Number, failing)
        runtime.boot()
        runtime.emit(Number(1))
        texts = [record.error for record in runtime.errors]
        assert texts == ["OSError: no answer", "ValueError: the alarm is broken"]
        assert runtime.status()["errors"] == 2

    def test_a_feedback_loop_is_told(self, make_runtime: MakeRuntime, until: Until) -> None:
        """D2 #8, B13b: two that cause one another are cut and named, not lost without a word."""
        runtime = make_runtime()
        loops = messages_of(runtime, message.FeedbackLoop)

        class Echo(Process):
            name = "echo"

            @on(Number)
            def there(self, event: Event) -> None:
                self.ctx.emit(Alarm(1))

            @on(Alarm)
            def back(self, event: Event) -> None:
                self.ctx.emit(Number(1))

        runtime.register(Echo())
        runtime.boot()
        runtime.emit(Number(1))
        until(lambda: len(loops) == 1)
        assert any("number" in each for each in loops[0].members)
        assert any("alarm" in each for each in loops[0].members)

    def test_no_lock_while_services_are_told(self, make_runtime: MakeRuntime, until: Until) -> None:
        """D2 #8, B9: a handler of ServiceStarted may wait for a thread that controls services."""

        class Idle(Service):
            name = "idle"

        answers: list[Any] = []

        def control() -> None:
            answers.append(runtime.services.status("idle")["state"])
            runtime.services.disable("idle", timeout_s=0.0)
            answers.append("asked to stop")

        def ask(event: Event) -> None:
            asking = threading.Thread(target=control)
            asking.start()
            asking.join(LONG_S)
            answers.append(asking.is_alive())

        runtime = make_runtime(slow_turn_s=60.0)
        runtime.register(Idle())
        runtime.subscribe(message.ServiceStarted, ask)
        runtime.boot()
        until(lambda: runtime.services.running() == [] and len(answers) == 3)
        assert answers[1:] == ["asked to stop", False]


class Ticking(Service):
    """Notes when it ticks."""

    name = "ticking"

    def __init__(self) -> None:
        self.at: list[float] = []

    def tick(self, ctx: Context) -> None:
        self.at.append(ctx.clock.monotonic())
        ctx.emit(Number(len(self.at)))


class TestSimulatedTimeIsExact:
    """D2 #9 (B20, b_replay2, b_fakeclock_branch, F3)."""

    def run(self, seconds: float) -> tuple[list[float], list[str]]:
        """Return the ticks and the events of a run."""
        log: list[str] = []
        with SimClock() as clock:
            runtime, ticking = Runtime(clock=clock), Ticking()
            runtime.register(ticking)
            runtime.subscribe(
                Message, lambda event: log.append(f"{event.time_ns} {event.payload!r}")
            )
            runtime.boot()
            clock.advance(seconds)
            runtime.shutdown()
            runtime.turns.close()
            begun = clock.monotonic()
            assert begun == seconds  # the end has waited for nobody
            ticks = ticking.at.copy()
            clock.advance(1.0)
            assert ticking.at == ticks  # and nothing ticks after it
        return ticks, log

    def test_every_run_has_the_same_ticks(self) -> None:
        """D2 #9, b_replay2: in 12 runs of 5 s a service of 1 s ticks 5 times, each at its time."""
        runs = [self.run(4.5) for _ in range(12)]
        assert runs[0][0] == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert all(each == runs[0] for each in runs)

    def test_the_end_wakes_who_sleeps(self) -> None:
        """D2 #9, b_fakeclock_branch: 30 runs end while their service sleeps; none hangs."""
        for _ in range(30):
            assert self.run(0.02)[0] == [0.0]

    def test_a_sleep_that_is_cancelled(self, sim: Simulation) -> None:
        """D2 #9, B20: setting the event ends the sleep at that moment, not at its end."""
        cancel, woke = sim.clock.Event(), list[tuple[bool, float]]()

        def sleep() -> None:
            cancelled = sim.clock.sleep(1000.0, cancel)
            woke.append((cancelled, sim.clock.monotonic()))

        sim.clock.Thread(sleep, "sleeping").start()
        sim.advance(3.0)
        cancel.set()
        sim.advance(1.0)
        assert woke == [(True, 3.0)]

    @pytest.mark.parametrize(
        "told",
        [
            message.ProcessError("cooling", "number", "OSError: no", "Traceback"),
            message.ServiceError("ticking", "tick", "OSError: no", "Traceback"),
            message.EventSubscriberError("lambda", "number", "OSError: no", "Traceback"),
        ],
    )
    def test_errors_in_a_log_can_be_read(self, told: Message) -> None:
        """D2 #9, F3: a message about an error goes through JSON and comes back, by its name."""
        line = json.dumps({"name": told.name, "data": told.to_dict()})
        read = json.loads(line)
        assert find(read["name"]).from_dict(read["data"]) == told
