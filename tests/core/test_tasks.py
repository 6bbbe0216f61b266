"""The event loop: coroutines beside the handlers, in real and in simulated time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from edgekernel.core.clock import Clock, SystemClock
from edgekernel.core.errors import LifecycleError, TurnTimeoutError
from edgekernel.core.tasks import Tasks
from edgekernel.sim import SimClock

LONG_S = 10.0


@pytest.fixture(params=["real", "simulated"])
def clock(request: pytest.FixtureRequest) -> Iterator[Clock]:
    """Each test runs in real and in simulated time."""
    if request.param == "real":
        yield SystemClock()
        return
    with SimClock() as simulated:
        yield simulated


@pytest.fixture
def failures() -> list[tuple[str, BaseException]]:
    """What was reported as failed."""
    return []


@pytest.fixture
def tasks(clock: Clock, failures: list[tuple[str, BaseException]]) -> Iterator[Tasks]:
    """Tasks that are closed when the test ends."""
    tasks = Tasks(clock, "edgekernel:loop", lambda label, error: failures.append((label, error)))
    yield tasks
    tasks.close()


async def add(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


async def broken() -> None:
    await asyncio.sleep(0)
    raise ValueError("it broke")


async def forever(seen: list[str]) -> None:
    try:
        seen.append("waits")
        await asyncio.Event().wait()
    finally:
        seen.append("ended")


def test_run_returns_the_result(tasks: Tasks) -> None:
    """`run` waits for a coroutine and returns what it returns."""
    assert tasks.run(add(2, 3), LONG_S) == 5
    assert tasks.run(add(4, 5)) == 9


def test_run_raises_what_the_coroutine_raises(tasks: Tasks) -> None:
    """An error of a coroutine is the caller's."""
    with pytest.raises(ValueError, match="it broke"):
        tasks.run(broken())


def test_run_cancels_what_takes_too_long(tasks: Tasks, clock: Clock) -> None:
    """A coroutine that is late is cancelled, and its `finally` blocks run."""
    seen: list[str] = []
    with pytest.raises(TurnTimeoutError, match=r"wait: not done within 0\.05 s"):
        tasks.run(forever(seen), 0.05, "wait")
    tasks.run(add(1, 1))  # comes after the cancellation
    assert seen == ["waits", "ended"]


def test_start_returns_at_once_and_tells(tasks: Tasks, clock: Clock) -> None:
    """`start` keeps nobody; what came of the coroutine is told, once."""
    over = clock.Event()
    told: list[tuple[object, BaseException | None]] = []

    def done(result: object, error: BaseException | None) -> None:
        told.append((result, error))
        over.set()

    tasks.start(add(1, 2), done)
    assert over.wait(LONG_S)
    assert told == [(3, None)]


def test_cancel_is_told_when_it_has_ended(tasks: Tasks, clock: Clock) -> None:
    """`done` comes after the last line of a cancelled coroutine; cancelling twice is harmless."""
    over, seen = clock.Event(), list[str]()

    def done(result: object, error: BaseException | None) -> None:
        seen.append(type(error).__name__)
        over.set()

    task = tasks.start(forever(seen), done)
    tasks.run(add(1, 1))
    task.cancel()
    task.cancel()
    assert over.wait(LONG_S)
    assert seen == ["waits", "ended", "CancelledError"]
    task.cancel()


def test_an_error_that_nobody_is_told_is_reported(
    tasks: Tasks, failures: list[tuple[str, BaseException]]
) -> None:
    """P3: without `done` what a coroutine raises is reported under its label."""
    tasks.start(broken(), label="watcher.look")
    tasks.run(add(1, 1))
    assert [(label, str(error)) for label, error in failures] == [("watcher.look", "it broke")]


def test_exit_in_a_coroutine_harms_no_other(
    tasks: Tasks, failures: list[tuple[str, BaseException]]
) -> None:
    """P3: a coroutine that calls sys.exit is reported; the loop goes on."""

    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(LifecycleError):
        tasks.run(leave(), LONG_S)
    assert tasks.run(add(1, 1), LONG_S) == 2
    assert [type(error) for _, error in failures] == [SystemExit]


def test_the_callers_context_is_the_coroutines(tasks: Tasks) -> None:
    """Context variables of who starts it are there in the coroutine."""
    which: ContextVar[str] = ContextVar("which", default="none")

    async def read() -> str:
        return which.get()

    token = which.set("mine")
    try:
        assert tasks.run(read(), LONG_S) == "mine"
    finally:
        which.reset(token)


def test_the_loop_cannot_wait_for_itself(tasks: Tasks) -> None:
    """`run` inside a coroutine is refused instead of waiting for ever."""

    async def outer() -> object:
        assert tasks.inside()
        return tasks.run(add(1, 2))

    assert not tasks.inside()
    with pytest.raises(LifecycleError, match="use `await`"):
        tasks.run(outer(), LONG_S)


def test_close_cancels_and_ends_the_thread(tasks: Tasks, clock: Clock) -> None:
    """Closing ends every coroutine; what comes later is refused, and its coroutine closed."""
    seen: list[str] = []
    tasks.start(forever(seen))
    tasks.run(add(1, 1))
    tasks.close()
    tasks.close()
    assert seen == ["waits", "ended"]
    with pytest.raises(LifecycleError, match="has ended"):
        tasks.start(add(1, 1))


def test_close_is_bounded(tasks: Tasks, failures: list[tuple[str, BaseException]]) -> None:
    """P6: a coroutine that does not let itself be cancelled is reported and left."""
    go_on: list[bool] = []

    async def stubborn() -> None:
        while not go_on:
            try:
                await asyncio.sleep(0.2)
            except asyncio.CancelledError:
                await asyncio.sleep(0.2)
                go_on.append(True)
                await asyncio.sleep(0)

    tasks.start(stubborn(), label="stubborn")
    tasks.run(add(1, 1))
    tasks.close(0.05)
    assert [label for label, _ in failures if label == "stubborn"] == ["stubborn"]
    go_on.append(True)


def test_the_loop_is_made_when_needed() -> None:
    """Without a coroutine there is no thread and no asyncio in the program."""
    code = (
        "import sys; from edgekernel import Runtime; runtime = Runtime(); runtime.boot();"
        "runtime.shutdown(); print('asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_sockets_work_in_real_time() -> None:
    """On the system's clock the loop is Python's own: threads and streams can be awaited."""
    tasks = Tasks(SystemClock(), "edgekernel:loop", print)

    async def ask() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello\n")
            answer = await reader.readline()
            writer.close()
        return answer

    try:
        assert tasks.run(ask(), LONG_S) == b"hello\n"
        assert tasks.run(asyncio.to_thread(threading.get_ident)) != threading.get_ident()
    finally:
        tasks.close()
