"""The runtime's dispatch: order, exclusiveness, isolation (promises P1 to P3)."""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgekernel import (
    Context,
    Device,
    Event,
    Interface,
    Message,
    Process,
    Runtime,
    Service,
    Severity,
    Signal,
    command,
    effect,
    message,
    on,
)
from edgekernel.core.errors import (
    ConfigError,
    ForbiddenError,
    InvalidValueError,
    LifecycleError,
    TurnTimeoutError,
    UnknownTargetError,
)

LONG_S = 10.0

MakeRuntime = Callable[..., Runtime]
Until = Callable[[Callable[[], bool]], None]


class Number(Message):
    n: int
    thread: int = 0


class Alarm(Message):
    severity = Severity.ERROR
    text: str = ""


class Recorder(Process):
    """Notes every event it handles."""

    def __init__(self, name: str = "recorder") -> None:
        self.name = name
        self.events: list[Event] = []

    def handle_event(self, ctx: Context, evt: Event) -> None:
        self.events.append(evt)

    def of(self, cls: type[Message]) -> list[Any]:
        """The messages of a class."""
        return [event.payload for event in self.events if isinstance(event.payload, cls)]


class Reacting(Process):
    """Calls a function with each event of one class."""

    def __init__(self, name: str, cls: type[Message], react: Callable[[Event], object]) -> None:
        self.name = name
        self._cls = cls
        self._react = react

    def handle_event(self, ctx: Context, evt: Event) -> None:
        if isinstance(evt.payload, self._cls):
            self._react(evt)


def run_in_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(LONG_S)
    assert not thread.is_alive()


class TestOrder:
    def test_sequence_numbers_are_consecutive(self, make_runtime: MakeRuntime) -> None:
        """P1: every emitted message has the next sequence number, from 1 on."""
        runtime, recorder = make_runtime(), Recorder()
        runtime.register(recorder)
        everything: list[int] = []
        runtime.subscribe(Message, lambda event: everything.append(event.seq))
        runtime.boot()
        for n in range(5):
            runtime.emit(Number(n))
        runtime.shutdown()
        assert everything == list(range(1, len(everything) + 1))
        assert [message.n for message in recorder.of(Number)] == list(range(5))

    def test_emit_returns_after_the_handlers_ran(self, make_runtime: MakeRuntime) -> None:
        """P2: who emits when nobody runs turns runs the handlers, in the own thread."""
        runtime = make_runtime()
        threads: list[int] = []
        runtime.register(Reacting("r", Number, lambda _: threads.append(threading.get_ident())))
        runtime.boot()
        runtime.emit(Number(1))
        assert threads == [threading.get_ident()]

    def test_causes_come_before_effects(self, make_runtime: MakeRuntime) -> None:
        """P1: what is emitted in a handler is handled after it, by all in the same order."""
        runtime = make_runtime()
        first, last = Recorder("first"), Recorder("last")
        steps: list[str] = []

        def react(event: Event) -> None:
            n = event.payload.n  # type: ignore[attr-defined]
            steps.append(f"begin {n}")
            if n < 3:
                runtime.emit(Number(n + 1))
                runtime.emit(Number(n + 10))
            steps.append(f"end {n}")

        runtime.register(first)
        runtime.register(Reacting("middle", Number, react))
        runtime.register(last)
        runtime.boot()
        first.events.clear()
        last.events.clear()
        runtime.emit(Number(1))
        assert [event.payload.n for event in first.events] == [1, 2, 11, 3, 12]  # type: ignore[attr-defined]
        assert [event.seq for event in first.events] == [event.seq for event in last.events]
        assert steps == [f"{step} {n}" for n in (1, 2, 11, 3, 12) for step in ("begin", "end")]

    def test_events_name_their_cause(self, make_runtime: MakeRuntime) -> None:
        """P1: an event that was emitted while another was handled names that one."""
        runtime, recorder = make_runtime(), Recorder()

        def react(event: Event) -> None:
            if event.payload == Number(1):
                runtime.emit(Number(2))
                run_in_thread(lambda: runtime.emit(Number(3)))

        runtime.register(Reacting("r", Number, react))
        runtime.register(recorder)
        runtime.boot()
        runtime.emit(Number(1))
        assert runtime.turns.wait_idle(LONG_S)
        one, two, three = (e for e in recorder.events if isinstance(e.payload, Number))
        assert (one.cause, two.cause, three.cause) == (None, one.seq, None)

    def test_processes_then_interfaces_then_services_then_subscribers(
        self, make_runtime: MakeRuntime, until: Until
    ) -> None:
        """P1: the handlers of one event run by role, then in the order of registering."""
        runtime = make_runtime()
        order: list[str] = []

        class P(Process):
            @on(Number)
            def handle(self, event: Event) -> None:
                order.append(self.name)

        class I(Interface):  # noqa: E742 (as short as its siblings)
            @on(Number)
            def handle(self, event: Event) -> None:
                order.append(self.name)

        class S(Service):
            interval = 3600.0

            @on(Number)
            def handle(self, event: Event) -> None:
                order.append(self.name)

        runtime.subscribe(Number, lambda _: order.append("subscriber"))
        for cls, name in ((S, "s"), (I, "i"), (P, "p2"), (P, "p1")):
            part = cls()
            part.name = name
            runtime.register(part)
        runtime.boot()
        until(lambda: runtime.status()["services"]["s"]["running"])
        runtime.emit(Number(1))
        assert order == ["p2", "p1", "i", "s", "subscriber"]

    def test_a_handler_of_a_class_handles_its_subclasses(self, make_runtime: MakeRuntime) -> None:
        """`on` and `subscribe` take a message class with all classes derived from it."""

        class Special(Number):
            pass

        runtime = make_runtime()
        seen: list[Message] = []
        subscription = runtime.subscribe(Number, lambda event: seen.append(event.payload))
        runtime.emit(Special(1))
        runtime.emit(Alarm())
        subscription.cancel()
        subscription.cancel()
        runtime.emit(Special(2))
        assert seen == [Special(1)]

    def test_emit_while_another_thread_runs_returns_at_once(
        self, make_runtime: MakeRuntime, until: Until
    ) -> None:
        """P2: nobody waits for others' handlers; the dispatcher takes over what they left."""
        runtime = make_runtime(name="node", slow_turn_s=LONG_S)
        entered, go_on = threading.Event(), threading.Event()
        handled: list[tuple[int, str]] = []

        def react(event: Event) -> None:
            n = event.payload.n  # type: ignore[attr-defined]
            handled.append((n, threading.current_thread().name))
            if n == 1:
                entered.set()
                assert go_on.wait(LONG_S)

        runtime.register(Reacting("r", Number, react))
        runtime.boot()
        thread = threading.Thread(target=lambda: runtime.emit(Number(1)), name="emitter")
        thread.start()
        assert entered.wait(LONG_S)
        runtime.emit(Number(2))
        assert handled == [(1, "emitter")]
        go_on.set()
        thread.join(LONG_S)
        until(lambda: len(handled) == 2)
        assert handled[1] == (2, "node:dispatcher")

    def test_a_handler_may_join_a_thread_that_emits(self, make_runtime: MakeRuntime) -> None:
        """P2: no lock is held while a handler runs, so it can wait for another emitter."""
        runtime, recorder = make_runtime(), Recorder()

        def react(event: Event) -> None:
            if event.payload == Number(1):
                run_in_thread(lambda: runtime.emit(Number(2)))

        runtime.register(Reacting("r", Number, react))
        runtime.register(recorder)
        runtime.boot()
        runtime.emit(Number(1))
        assert runtime.turns.wait_idle(LONG_S)
        assert recorder.of(Number) == [Number(1), Number(2)]

    def test_eight_emitting_threads(self, make_runtime: MakeRuntime, eager_switching: None) -> None:
        """P1, P2: all handlers see all events of all threads, in one order, one at a time."""
        runtime = make_runtime(slow_turn_s=LONG_S)
        recorders = [Recorder(f"r{k}") for k in range(3)]
        inside: list[int] = []
        overlaps: list[int] = []
        level = Signal(0)

        def react(event: Event) -> None:
            inside.append(1)
            level.set(level.peek() + 1)
            overlaps.extend(inside[1:])
            inside.pop()

        class Watching(Process):
            name = "watching"

            @effect
            def follow(self) -> None:
                inside.append(1)
                level.get()
                overlaps.extend(inside[1:])
                inside.pop()

        runtime.register(Reacting("reacting", Number, react))
        runtime.register(Watching())
        for recorder in recorders:
            runtime.register(recorder)
        runtime.boot()

        def emit_all(thread: int) -> None:
            for n in range(200):
                runtime.emit(Number(n, thread))

        threads = [threading.Thread(target=emit_all, args=(k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert runtime.turns.wait_idle(LONG_S)
        assert overlaps == []
        assert level.peek() == 1600
        events = [e for e in recorders[0].events if isinstance(e.payload, Number)]
        for recorder in recorders:
            assert [e for e in recorder.events if isinstance(e.payload, Number)] == events
        seqs = [event.seq for event in recorders[0].events]
        assert seqs == sorted(seqs)
        for k in range(8):
            assert [m.n for m in recorders[0].of(Number) if m.thread == k] == list(range(200))

    def test_subscribing_and_cancelling_from_many_threads(
        self, make_runtime: MakeRuntime, eager_switching: None
    ) -> None:
        """P1: no subscriber is lost or comes back when several threads subscribe and cancel."""
        runtime = make_runtime()
        seen: list[str] = []

        def note(name: str, event: Event) -> None:
            seen.append(name)

        def churn(k: int) -> None:
            for n in range(100):
                runtime.subscribe(Number, lambda _: seen.append("cancelled")).cancel()
                if n % 10 == 0:
                    runtime.subscribe(Number, partial(note, f"{k} {n}"))

        threads = [threading.Thread(target=churn, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        runtime.emit(Number(1))
        assert sorted(seen) == sorted(f"{k} {n}" for k in range(4) for n in range(0, 100, 10))

    def test_a_handler_that_was_taken_out_by_one_before_it(self, make_runtime: MakeRuntime) -> None:
        """A subscriber that another one cancels during an event does not see that event."""
        runtime = make_runtime()
        seen: list[str] = []

        def first(event: Event) -> None:
            seen.append("first")
            second.cancel()

        runtime.subscribe(Number, first)
        second = runtime.subscribe(Number, lambda _: seen.append("second"))
        runtime.subscribe(Number, lambda _: seen.append("third"))
        runtime.emit(Number(1))
        assert seen == ["first", "third"]

    def test_effects_run_as_turns_too(self, make_runtime: MakeRuntime) -> None:
        """P2: a set inside a handler runs its effects after the handler, before later events."""
        runtime = make_runtime()
        level = Signal(0)
        steps: list[str] = []

        class Follow(Process):
            name = "follow"

            @effect
            def watch(self) -> None:
                steps.append(f"effect {level.get()}")

        def react(event: Event) -> None:
            n = event.payload.n  # type: ignore[attr-defined]
            steps.append(f"begin {n}")
            if n == 1:
                level.set(5)
                runtime.emit(Number(2))
            steps.append(f"end {n}")

        runtime.register(Follow())
        runtime.register(Reacting("r", Number, react))
        runtime.boot()
        runtime.emit(Number(1))
        assert steps == ["effect 0", "begin 1", "end 1", "effect 5", "begin 2", "end 2"]


class TestPost:
    def test_waits_for_no_handler(self, make_runtime: MakeRuntime) -> None:
        """P2: who posts returns at once; the handlers run in the dispatcher, in order."""
        runtime = make_runtime(name="node", slow_turn_s=LONG_S)
        go_on = threading.Event()
        seen: list[tuple[int, str, str]] = []

        def handle(event: Event) -> None:
            assert isinstance(event.payload, Number)
            assert go_on.wait(LONG_S)
            seen.append((event.payload.n, event.source, threading.current_thread().name))

        runtime.subscribe(Number, handle)
        for n in range(3):
            runtime.post(Number(n), "poster")
        assert seen == []
        go_on.set()
        assert runtime.turns.wait_idle(LONG_S)
        assert seen == [(n, "poster", "node:dispatcher") for n in range(3)]


class TestIsolation:
    @pytest.mark.parametrize(
        ("role", "error_class"),
        [(Process, message.ProcessError), (Interface, message.InterfaceError)],
    )
    def test_a_handler_that_raises(
        self,
        make_runtime: MakeRuntime,
        role: type[Process] | type[Interface],
        error_class: type[Message],
    ) -> None:
        """P3: a raising handler harms no other; it becomes a typed error with its traceback."""

        def handle_event(self: object, ctx: Context, evt: Event) -> None:
            if isinstance(evt.payload, Number):
                raise ValueError("no such number")

        failing: Any = type("Failing", (role,), {"name": "failing", "handle_event": handle_event})()
        runtime, recorder = make_runtime(), Recorder()
        seen: list[Event] = []
        runtime.register(failing)
        runtime.register(recorder)
        runtime.subscribe(Number, seen.append)
        runtime.boot()
        runtime.emit(Number(1))
        assert len(seen) == 1
        [error] = recorder.of(error_class)
        assert "failing" in error.to_dict().values()
        assert error.event == "number"
        assert error.error == "ValueError: no such number"
        assert "raise ValueError" in error.traceback
        assert [record.error for record in runtime.errors] == ["ValueError: no such number"]
        assert runtime.status()["errors"] == 1

    def test_a_subscriber_that_raises(self, make_runtime: MakeRuntime) -> None:
        """P3: a raising subscriber becomes an EventSubscriberError."""
        runtime = make_runtime()
        errors: list[Any] = []
        runtime.subscribe(message.EventSubscriberError, lambda event: errors.append(event.payload))
        runtime.subscribe(Number, lambda _: 1 // 0)
        runtime.emit(Number(1))
        assert [error.event for error in errors] == ["number"]
        assert "ZeroDivisionError" in errors[0].traceback

    def test_a_service_handler_that_raises(self, make_runtime: MakeRuntime, until: Until) -> None:
        """P3: a raising handler of a service becomes a ServiceError; the service goes on."""

        class Failing(Service):
            name = "failing"
            interval = 3600.0

            @on(Number)
            def handle(self, event: Event) -> None:
                raise ValueError("no")

        runtime, recorder = make_runtime(), Recorder()
        runtime.register(Failing())
        runtime.register(recorder)
        runtime.boot()
        until(lambda: runtime.status()["services"]["failing"]["running"])
        runtime.emit(Number(1))
        [error] = recorder.of(message.ServiceError)
        assert (error.service, error.event) == ("failing", "number")
        assert runtime.status()["services"]["failing"]["running"]

    def test_an_effect_that_raises(self, make_runtime: MakeRuntime) -> None:
        """P3: a raising effect is reported by name, at boot too, and does not stop the boot."""
        level = Signal(0)

        class Failing(Process):
            name = "failing"

            @effect
            def divide(self) -> None:
                _ = 1 // level.get()

        runtime, recorder = make_runtime(), Recorder()
        runtime.register(recorder)
        runtime.register(Failing())
        runtime.boot()
        level.set(1)
        level.set(0)
        errors = recorder.of(message.EffectError)
        assert [error.effect for error in errors] == ["effect failing.divide"] * 2
        assert "ZeroDivisionError" in errors[0].traceback

    def test_an_error_without_a_text_harms_nobody(
        self, make_runtime: MakeRuntime, caplog: pytest.LogCaptureFixture
    ) -> None:
        """P3: even an exception whose text cannot be made leaves the other handlers running."""

        class Mute(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no words")

        def fail(event: Event) -> None:
            raise Mute

        runtime = make_runtime()
        seen: list[Event] = []
        runtime.subscribe(Number, fail)
        runtime.subscribe(Number, seen.append)
        runtime.emit(Number(1))
        runtime.emit(Number(2))
        assert len(seen) == 2
        assert caplog.records or runtime.errors

    def test_a_failure_while_an_error_is_handled_is_kept(
        self, make_runtime: MakeRuntime, caplog: pytest.LogCaptureFixture
    ) -> None:
        """P3: it is counted, logged and kept, but not dispatched again: no recursion."""
        runtime, recorder = make_runtime(), Recorder()

        def fail(event: Event) -> None:
            raise ValueError("while handling")

        runtime.register(Reacting("failing", Message, fail))
        runtime.register(recorder)
        runtime.boot()
        recorder.events.clear()
        runtime.errors.clear()
        runtime.emit(Alarm("fire"))
        assert [type(event.payload) for event in recorder.events] == [Alarm]
        [record] = runtime.errors
        assert record.where == "failing.handle_event handling alarm"
        assert record.error == "ValueError: while handling"
        assert "raise ValueError" in record.traceback
        assert "failing.handle_event failed while handling an error" in caplog.text

    def test_a_failing_error_handler_does_not_recurse(self, make_runtime: MakeRuntime) -> None:
        """P3: the error about a failing handler reaches the others once."""
        runtime, recorder = make_runtime(), Recorder()

        def fail(event: Event) -> None:
            raise ValueError("always")

        runtime.register(recorder)
        runtime.boot()
        runtime.subscribe(Message, fail)
        recorder.events.clear()
        runtime.emit(Number(1))
        assert [type(e.payload) for e in recorder.events] == [Number, message.EventSubscriberError]
        assert len(runtime.errors) == 2

    def test_a_feedback_loop_is_named_and_cut(self, make_runtime: MakeRuntime) -> None:
        """P3: two processes that cause one another are named with their messages, and stopped."""
        runtime, recorder = make_runtime(), Recorder()

        class Ping(Message):
            pass

        class Pong(Message):
            pass

        runtime.register(recorder)
        runtime.register(Reacting("left", Ping, lambda _: runtime.emit(Pong())))
        runtime.register(Reacting("right", Pong, lambda _: runtime.emit(Ping())))
        runtime.boot()
        runtime.emit(Ping())
        assert runtime.turns.wait_idle(LONG_S)
        [loop] = recorder.of(message.FeedbackLoop)
        text = " ".join(loop.members)
        for member in ("ping", "pong", "left.handle_event", "right.handle_event"):
            assert member in text
        assert len(loop.members) <= 3
        assert loop.cut in ("ping", "pong")
        assert runtime.status()["cut_turns"] == 1
        seqs = [event.seq for event in recorder.events]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        runtime.emit(Number(1))
        assert recorder.of(Number) == [Number(1)]

    def test_a_feedback_loop_may_raise_an_alarm(
        self, make_runtime: MakeRuntime, until: Until
    ) -> None:
        """P3: handling the report of a loop may emit; that it loops again is not reported again."""
        runtime, recorder = make_runtime(), Recorder()

        def tell(event: Event) -> None:
            runtime.emit(Alarm("loop"))
            runtime.emit(Number(1))

        runtime.register(recorder)
        runtime.register(Reacting("loop", Number, lambda _: runtime.emit(Number(1))))
        runtime.register(Reacting("teller", message.FeedbackLoop, tell))
        runtime.boot()
        runtime.emit(Number(1))
        until(lambda: len(runtime.errors) == 2)
        assert runtime.turns.wait_idle(LONG_S)
        assert recorder.of(Alarm) == [Alarm("loop")]
        assert len(recorder.of(message.FeedbackLoop)) == 1
        assert [r.where for r in runtime.errors] == ["feedback loop", "feedback loop"]

    def test_a_slow_handler_is_reported(self, make_runtime: MakeRuntime) -> None:
        """P3: a turn that takes longer than `slow_turn_s` is told by name, and only once."""
        runtime, recorder = make_runtime(slow_turn_s=0.001), Recorder()
        never = threading.Event()
        runtime.register(Reacting("slow", Number, lambda _: never.wait(0.02)))
        runtime.register(recorder)
        runtime.boot()
        recorder.events.clear()
        runtime.emit(Number(1))
        slow = [m for m in recorder.of(message.SlowTurn) if m.turn.endswith("(number)")]
        assert [m.turn for m in slow] == ["slow.handle_event or recorder.handle_event (number)"]
        assert slow[0].seconds > 0.001

    def test_a_keyboard_interrupt_does_not_wedge_the_runtime(
        self, make_runtime: MakeRuntime
    ) -> None:
        """P3: KeyboardInterrupt in a handler leaves through `emit`; later events are handled."""
        runtime, recorder = make_runtime(), Recorder()

        def react(event: Event) -> None:
            if event.payload == Number(1):
                runtime.emit(Number(2))
                raise KeyboardInterrupt

        runtime.register(recorder)
        runtime.register(Reacting("r", Number, react))
        runtime.boot()
        with pytest.raises(KeyboardInterrupt):
            runtime.emit(Number(1))
        runtime.emit(Number(3))
        assert runtime.turns.wait_idle(LONG_S)
        assert recorder.of(Number) == [Number(1), Number(2), Number(3)]

    def test_the_error_list_is_bounded(self, make_runtime: MakeRuntime) -> None:
        """P9: the list of kept errors keeps the latest; the count goes on."""
        runtime = make_runtime()
        runtime.subscribe(Number, lambda _: 1 // 0)
        for n in range(500):
            runtime.emit(Number(n))
        assert runtime.error_count == 500
        assert len(runtime.errors) < 500


class Lamp(Process):
    name = "lamp"

    def __init__(self) -> None:
        self.level = 0

    @command
    def dim(self, level: int = 50) -> int:
        """Set the level."""
        self.level = level
        return level

    @command(role="operator")
    def reset(self) -> None:
        self.level = 0

    @command
    def fail(self) -> None:
        raise RuntimeError("lamp is broken")


class TestInvoke:
    def test_runs_as_a_turn_and_returns(self, make_runtime: MakeRuntime) -> None:
        """P2: a command runs as a turn; its result is the caller's, and it is told."""
        runtime, recorder = make_runtime(), Recorder()
        runtime.register(Lamp())
        runtime.register(recorder)
        runtime.boot()
        assert runtime.invoke("lamp.dim", {"level": 7}, principal="anna") == 7
        assert runtime.turns.wait_idle(LONG_S)
        (told,) = recorder.of(message.CommandDone)
        assert (told.command, told.principal, told.ok) == ("lamp.dim", "anna", True)

    def test_exact_names_only(self, make_runtime: MakeRuntime) -> None:
        """P11: a name that is nearly right is refused with a suggestion, never carried out."""
        runtime, lamp = make_runtime(), Lamp()
        runtime.register(lamp)
        runtime.boot()
        with pytest.raises(UnknownTargetError, match=r"did you mean 'lamp\.dim'\?"):
            runtime.invoke("lamp.dimm", {"level": 7})
        assert lamp.level == 0

    def test_a_role_needs_an_authorizer(self, make_runtime: MakeRuntime) -> None:
        """P11: without an authorizer a command that needs a role is refused."""
        runtime = make_runtime()
        runtime.register(Lamp())
        runtime.boot()
        with pytest.raises(ForbiddenError, match="operator"):
            runtime.invoke("lamp.reset", principal="anna")

    def test_the_authorizer_decides(self, make_runtime: MakeRuntime) -> None:
        """P11: the authorizer is asked for principal and role."""
        asked: list[tuple[str, str]] = []

        def authorize(principal: str, role: str) -> bool:
            asked.append((principal, role))
            return principal == "anna"

        runtime = make_runtime(authorizer=authorize)
        runtime.register(Lamp())
        runtime.boot()
        runtime.invoke("lamp.reset", principal="anna")
        with pytest.raises(ForbiddenError):
            runtime.invoke("lamp.reset", principal="bert")
        assert asked == [("anna", "operator"), ("bert", "operator")]

    def test_arguments_are_checked(self, make_runtime: MakeRuntime) -> None:
        """Unknown arguments are refused before anything runs."""
        runtime = make_runtime()
        runtime.register(Lamp())
        runtime.boot()
        with pytest.raises(InvalidValueError, match=r"lamp\.dim.*brightness"):
            runtime.invoke("lamp.dim", {"brightness": 7})

    def test_what_it_raises_is_the_callers(self, make_runtime: MakeRuntime) -> None:
        """P3: an error of a command goes to the caller, and is told as one."""
        runtime, recorder = make_runtime(), Recorder()
        runtime.register(Lamp())
        runtime.register(recorder)
        runtime.boot()
        with pytest.raises(RuntimeError, match="lamp is broken"):
            runtime.invoke("lamp.fail")
        assert runtime.turns.wait_idle(LONG_S)
        (told,) = recorder.of(message.CommandDone)
        assert (told.ok, told.error) == (False, "RuntimeError: lamp is broken")
        assert recorder.of(message.DeadLetter) == [
            message.DeadLetter("lamp.fail", "failed", told.error)
        ]

    def test_a_timeout(self, make_runtime: MakeRuntime) -> None:
        """A command that does not get its turn in time is given up and never runs."""
        runtime, lamp = make_runtime(slow_turn_s=LONG_S), Lamp()
        entered, go_on = threading.Event(), threading.Event()

        def hold(event: Event) -> None:
            entered.set()
            assert go_on.wait(LONG_S)

        runtime.register(lamp)
        runtime.subscribe(Number, hold)
        runtime.boot()
        thread = threading.Thread(target=lambda: runtime.emit(Number(1)))
        thread.start()
        assert entered.wait(LONG_S)
        with pytest.raises(TurnTimeoutError):
            runtime.invoke("lamp.dim", {"level": 7}, timeout=0.01)
        go_on.set()
        thread.join(LONG_S)
        assert runtime.turns.wait_idle(LONG_S)
        assert lamp.level == 0

    def test_needs_a_running_runtime(self, make_runtime: MakeRuntime) -> None:
        """P5: no command runs before the boot or after the shutdown."""
        runtime = make_runtime()
        runtime.register(Lamp())
        with pytest.raises(LifecycleError, match="created"):
            runtime.invoke("lamp.dim")
        runtime.boot()
        runtime.shutdown()
        with pytest.raises(LifecycleError, match="stopped"):
            runtime.invoke("lamp.dim")


class TestStatus:
    def test_is_ready_for_json(self, make_runtime: MakeRuntime) -> None:
        """The status is plain data and names the parts."""
        runtime = make_runtime(name="bench-1")

        class Idle(Service):
            name = "idle"
            interval = 3600.0

        runtime.register(Idle())
        runtime.boot()
        status = json.loads(json.dumps(runtime.status()))
        assert status["name"] == "bench-1"
        assert status["state"] == "running"
        assert set(status["services"]) == {"idle"}


class TestSeeds:
    QUICK_START = Path(__file__).with_name("seed_004_quick_start.txt")

    def test_the_quick_start_of_bussdcc(self, until: Until) -> None:
        """The quick start of seed 004 runs with only its import line changed."""
        lines = self.QUICK_START.read_text()
        changed = re.sub(
            "^from bussdcc import", "from edgekernel import", lines, flags=re.MULTILINE
        )
        assert changed != lines
        space: dict[str, Any] = {"__name__": "quick_start"}
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(changed, space)  # noqa: S102 (the seed's own text)
            until(lambda: "heartbeat" in printed.getvalue())
            space["rt"].shutdown()
        text = printed.getvalue()
        assert "Sensor online" in text
        assert "runtime.booted {'version': " in text
        assert "system.signal {'signal': 0, 'action': 'heartbeat'}" in text
        assert "Sensor offline" in text


def test_a_context_gives_what_a_part_may_use(make_runtime: MakeRuntime) -> None:
    """A part's context has clock, devices and `emit`, which names the part as the source."""
    runtime = make_runtime()
    sources: list[str] = []

    class Talking(Process):
        name = "talking"

        @on(message.RuntimeBooted)
        def talk(self, event: Event) -> None:
            self.ctx.emit(Number(1))

    runtime.register(Talking())
    runtime.subscribe(Number, lambda event: sources.append(event.source))
    runtime.boot()
    runtime.emit(Number(2))
    runtime.emit(Number(3), source="me")
    assert sources == ["talking", "edgekernel", "me"]


def test_two_runtimes_do_not_mix(make_runtime: MakeRuntime) -> None:
    """Each runtime has its own order, handlers and turns."""
    left, right = make_runtime(name="left"), make_runtime(name="right")
    seen: list[tuple[str, int]] = []
    left.subscribe(Number, lambda event: right.emit(event.payload))
    right.subscribe(Number, partial(lambda name, event: seen.append((name, event.seq)), "right"))
    left.emit(Number(1))
    left.emit(Number(2))
    assert seen == [("right", 1), ("right", 2)]


class Untellable(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text either")


def test_leaving_a_with_block_shuts_down_whatever_was_raised() -> None:
    """P6: an error without a text ends the runtime as any other does."""
    runtime = Runtime(shutdown_limit_s=5.0)
    with pytest.raises(Untellable), runtime:
        raise Untellable
    assert str(runtime.phase) == "stopped"


@pytest.mark.parametrize("wrong", ["number", Number, None, 3])
def test_only_messages_are_emitted(make_runtime: MakeRuntime, wrong: Any) -> None:
    """P9: what is no message is refused where it is emitted, not taken and lost."""
    runtime = make_runtime()
    with runtime:
        for tell in (runtime.emit, runtime.post):
            with pytest.raises(TypeError, match="what is emitted is a message, not"):
                tell(wrong)


async def wait_for_it(event: Event) -> None:
    """Handle an event some time."""


@pytest.mark.parametrize(
    ("message_class", "handler", "text"),
    [
        (Number(1), print, "a message class, not Number"),
        ("number", print, "a message class, not 'number'"),
        (int, print, "a message class, not <class 'int'>"),
        (Number, None, "a function that is called as a turn, not None"),
        (Number, wait_for_it, "`async` would never run"),
    ],
)
def test_what_cannot_be_subscribed_is_refused(
    make_runtime: MakeRuntime, message_class: Any, handler: Any, text: str
) -> None:
    """P3: a mistaken subscription is refused at once, and harms no other handler."""
    runtime = make_runtime()
    seen: list[Message] = []
    runtime.subscribe(Number, lambda event: seen.append(event.payload))
    with pytest.raises(TypeError, match=re.escape(text)):
        runtime.subscribe(message_class, handler)
    runtime.emit(Number(1))
    assert seen == [Number(1)]


class Unnamed(Process):
    """Has no name."""


class Hasty(Device):
    """Does not call its base."""

    def __init__(self) -> None:
        self.id = "hasty"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Unnamed, 'Unnamed: a part needs a name: write `name = "..."` in the class'),
        (Unnamed(), 'Unnamed: a part needs a name: write `name = "..."` in the class'),
        (Device(""), "Device: a device needs an id"),
        (Hasty(), "Hasty: its __init__ does not call super().__init__(id)"),
    ],
)
def test_a_part_without_a_name_says_how_to_give_one(
    make_runtime: MakeRuntime, part: Any, text: str
) -> None:
    """P5: what cannot be named is refused with where it is and what to do."""
    runtime = make_runtime()
    with pytest.raises(ConfigError, match=re.escape(text)):
        runtime.register(part)
    with runtime:
        for change in (runtime.hot_add, runtime.hot_update):
            with pytest.raises(ConfigError, match=re.escape(text)):
                change(part)


@pytest.mark.parametrize("wrong", [[1], [], "level", 1])
def test_arguments_are_given_by_name(make_runtime: MakeRuntime, wrong: Any) -> None:
    """P11: arguments that are no mapping are an invalid request, not an error of `dict`."""
    runtime = make_runtime()
    with runtime:
        for ask in (runtime.invoke, runtime.invoke_nowait):
            with pytest.raises(InvalidValueError, match=r"fan\.on: the arguments are"):
                ask("fan.on", wrong)
