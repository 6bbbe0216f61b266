"""What a review by somebody else has found: each finding stays found."""

from __future__ import annotations

import os
import signal
import threading
from asyncio import CancelledError
from collections.abc import Callable

import pytest

from edgekernel import (
    Context,
    Device,
    Effect,
    Event,
    Message,
    Process,
    Quality,
    Runtime,
    Signal,
    SignalRuntime,
    command,
    message,
    output,
    reading,
)
from edgekernel.core import turns
from edgekernel.core.errors import (
    ConfigError,
    LifecycleError,
    TurnTimeoutError,
    UnavailableError,
)
from edgekernel.core.turn import CallTurn

LONG_S = 10.0

MakeRuntime = Callable[..., Runtime]


class Number(Message):
    n: int


class Lamp(Device):
    power = output(bool, safe=False)

    @power.drive
    def drive(self, on: bool) -> bool:
        return on


class Slow(Process):
    """A command that waits until it is let go."""

    name = "slow"

    def __init__(self) -> None:
        self.go_on, self.runs_in = threading.Event(), ""

    @command
    def work(self) -> str:
        self.runs_in = threading.current_thread().name
        self.go_on.wait(LONG_S)
        return "done"


def test_a_timeout_holds_for_the_caller_of_an_idle_runtime(make_runtime: MakeRuntime) -> None:
    """P2: `invoke` comes back at its limit even if nobody else runs turns."""
    runtime, slow = make_runtime(), Slow()
    runtime.register(slow)
    runtime.boot()
    with pytest.raises(TurnTimeoutError, match=r"not done within 0\.05 s"):
        runtime.invoke("slow.work", timeout=0.05)
    slow.go_on.set()
    assert runtime.invoke("slow.work") == "done"


def test_submit_elsewhere_keeps_nobody(make_runtime: MakeRuntime) -> None:
    """P2: a thread that must not be kept hands its turn to the dispatcher."""
    runtime = make_runtime()
    ran: list[str] = []
    done = threading.Event()

    def work() -> None:
        ran.append(threading.current_thread().name)
        done.set()

    runtime.boot()
    runtime.turns.submit_elsewhere(CallTurn(work, "work"))
    assert done.wait(LONG_S)
    assert ran == ["edgekernel:dispatcher"]


def test_system_exit_in_a_handler_is_a_failure(make_runtime: MakeRuntime) -> None:
    """P3: a handler that calls sys.exit harms no other and is reported like any failure."""

    class Leaving(Process):
        name = "leaving"

        def handle_event(self, ctx: Context, evt: Event) -> None:
            if isinstance(evt.payload, Number):
                raise SystemExit(3)

    runtime = make_runtime()
    runtime.register(Leaving())
    seen: list[Message] = []
    runtime.subscribe(Message, lambda event: seen.append(event.payload))
    runtime.boot()
    runtime.emit(Number(1))
    assert Number(1) in seen
    assert [m.error for m in seen if isinstance(m, message.ProcessError)] == ["SystemExit: 3"]


def test_an_error_without_a_text_is_counted(make_runtime: MakeRuntime) -> None:
    """P3: an error whose text cannot be made is kept and told like any other."""

    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    runtime = make_runtime()

    def fail(event: Event) -> None:
        raise Unspeakable

    runtime.subscribe(Number, fail)
    seen: list[Event] = []
    runtime.subscribe(message.EventSubscriberError, seen.append)
    runtime.boot()
    runtime.emit(Number(1))
    assert len(seen) == runtime.error_count == 1
    assert "its text cannot be made" in runtime.errors[0].error


def test_a_full_queue_drops_the_newest_and_says_so(
    make_runtime: MakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P9: the turn queue is bounded; what others submit beyond is dropped, counted and told."""
    monkeypatch.setattr(turns, "MAX_WAITING", 10)
    runtime = make_runtime()
    seen: list[int] = []
    told: list[Event] = []
    begun, go_on = threading.Event(), threading.Event()

    def handle(event: Event) -> None:
        assert isinstance(event.payload, Number)
        seen.append(event.payload.n)
        if event.payload.n == 0:
            begun.set()
            go_on.wait(LONG_S)

    runtime.subscribe(Number, handle)
    runtime.subscribe(message.TurnsDropped, told.append)
    runtime.boot()
    first = threading.Thread(target=runtime.emit, args=(Number(0),))
    first.start()
    begun.wait(LONG_S)
    for n in range(1, 21):
        runtime.emit(Number(n))
    go_on.set()
    first.join(LONG_S)
    assert runtime.turns.wait_idle(LONG_S)
    assert seen == list(range(11))
    assert runtime.status()["dropped_turns"] == 10
    assert len(told) == 1


def test_an_effect_made_in_start_ends_with_its_process(make_runtime: MakeRuntime) -> None:
    """P5: nothing of a process runs after it has stopped, wherever it was made."""
    level = Signal(0)
    seen: list[int] = []

    class Watching(Process):
        name = "watching"

        def start(self, ctx: Context) -> None:
            Effect(lambda: seen.append(level.get()))

    runtime = make_runtime()
    runtime.register(Watching())
    runtime.boot()
    level.set(1)
    runtime.shutdown()
    level.set(2)
    assert seen == [0, 1]


def test_boot_from_a_second_thread_waits(make_runtime: MakeRuntime) -> None:
    """P5: `boot` comes back when the runtime runs, also from a second thread meanwhile."""
    begun, go_on = threading.Event(), threading.Event()

    class Late(Device):
        def connect(self) -> None:
            begun.set()
            go_on.wait(LONG_S)

    runtime = make_runtime()
    runtime.register(Late("late"))
    states: list[str] = []
    first = threading.Thread(target=runtime.boot)

    def boot_too() -> None:
        runtime.boot()
        states.append(str(runtime.phase))

    second = threading.Thread(target=boot_too)
    first.start()
    begun.wait(LONG_S)
    second.start()
    go_on.set()
    first.join(LONG_S)
    second.join(LONG_S)
    assert states == ["running"]


def test_a_poll_interval_must_be_above_zero(make_runtime: MakeRuntime) -> None:
    """P5: an interval of 0 is refused when it is added instead of failing in the poller."""

    class Polled(Device):
        every = 0.0

        def poll(self) -> None:
            pass

    with pytest.raises(ConfigError, match="room: every is 0"):
        make_runtime().register(Polled("room"))


def test_a_reading_of_another_type_is_bad() -> None:
    """What is not of the declared type is BAD with the reason, never GOOD."""

    class Room(Device):
        temperature = reading(float)
        door = reading(bool)

    room = Room("room")
    room.temperature.update(None)  # type: ignore[arg-type]
    room.door.update(7)  # type: ignore[arg-type]
    assert room.temperature.quality is room.door.quality is Quality.BAD


def test_registering_what_is_no_part(make_runtime: MakeRuntime) -> None:
    """Something that is no part is refused by its type."""
    with pytest.raises(TypeError, match="is no component"):
        make_runtime().register(object())


def test_ctrl_c_in_run_makes_safe(
    make_runtime: MakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P8: an interrupt while `run` waits shuts the runtime down before it goes on."""
    runtime, lamp = make_runtime(), Lamp("lamp")
    runtime.register(lamp)

    def interrupted(timeout: float | None = None) -> bool:
        monkeypatch.undo()
        lamp.power.set(True)
        raise KeyboardInterrupt

    monkeypatch.setattr(runtime._lifecycle.stopped, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runtime.run()
    assert str(runtime.phase) == "stopped"
    assert lamp.power.setpoint is False


def test_sigterm_during_boot_is_served() -> None:
    """P6: a signal that comes while a device takes its time to connect ends the boot."""
    runtime = SignalRuntime(shutdown_limit_s=1.0)
    go_on = threading.Event()

    class Late(Device):
        def connect(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            go_on.wait(LONG_S)

    runtime.register(Late("late"))
    stopping: list[Event] = []
    runtime.subscribe(message.RuntimeShuttingDown, stopping.append)
    runtime.subscribe(message.RuntimeShuttingDown, lambda event: go_on.set())
    runtime.run()
    assert [event.payload.to_dict() for event in stopping] == [{"reason": "SIGTERM"}]


def test_a_command_whose_component_has_stopped(make_runtime: MakeRuntime) -> None:
    """P5: a command that waited for its turn does not run in a component that has stopped."""
    runtime, slow = make_runtime(), Slow()
    runtime.register(slow)
    runtime.boot()
    begun, go_on, errors = threading.Event(), threading.Event(), list[Exception]()

    def hold(event: Event) -> None:
        begun.set()
        go_on.wait(LONG_S)

    def ask() -> None:
        try:
            runtime.invoke("slow.work")
        except Exception as error:
            errors.append(error)

    runtime.subscribe(Number, hold)
    holding = threading.Thread(target=runtime.emit, args=(Number(1),))
    holding.start()
    begun.wait(LONG_S)
    asking = threading.Thread(target=ask)
    asking.start()
    while runtime.turns.depth == 0:
        begun.wait(0.001)
    runtime.commands.remove(runtime.commands.all())
    go_on.set()
    holding.join(LONG_S)
    asking.join(LONG_S)
    assert isinstance(errors[0], UnavailableError | LifecycleError)


@pytest.mark.parametrize(
    "error", [GeneratorExit(), CancelledError(), BaseExceptionGroup("3", [SystemExit()])]
)
def test_whatever_a_handler_raises_harms_no_other(
    make_runtime: MakeRuntime, error: BaseException
) -> None:
    """P3: an error of any class fails its handler; the next one, and its emitter, go on."""

    class Broken(Process):
        name = "broken"

        def handle_event(self, ctx: Context, evt: Event) -> None:
            if isinstance(evt.payload, Number):
                raise error

    runtime = make_runtime()
    runtime.register(Broken())
    handled: list[Message] = []
    told: list[Message] = []
    runtime.subscribe(Number, lambda event: handled.append(event.payload))
    runtime.subscribe(message.ProcessError, lambda event: told.append(event.payload))
    with runtime:
        runtime.emit(Number(1))
        runtime.post(Number(2))
        assert runtime.turns.wait_idle(LONG_S)
        assert handled == [Number(1), Number(2)]
        assert len(told) == 2
