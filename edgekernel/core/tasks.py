"""Tasks: the runtime's one event loop, on a thread of its own, for everything that is `async`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from edgekernel.core.clock import Clock, EventLike, ThreadLike
from edgekernel.core.errors import LifecycleError, TurnTimeoutError

if TYPE_CHECKING:
    import asyncio  # costs a small board a second: only where something is `async`

Done = Callable[[Any, BaseException | None], object]
"""Is told the result of a coroutine, or what it has raised; called on the event loop."""


class Task:
    """A coroutine on its way on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Let `CancelledError` be raised where it waits. From any thread; twice is harmless."""
        if not self._cancelled:
            self._cancelled = True
            try:
                self._loop.call_soon_threadsafe(self._cancel)
            except RuntimeError:  # the loop is closed: nothing runs on it any more
                return

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def begin(self, coroutine: Coroutine[Any, Any, Any], done: Done, label: str) -> None:
        """Start the coroutine; called on the event loop, in the context it is to run in."""
        self._task = self._loop.create_task(coroutine, name=label)
        self._task.add_done_callback(lambda task: self._ended(task, done))

    @staticmethod
    def _ended(task: asyncio.Task[Any], done: Done) -> None:
        import asyncio

        if task.cancelled():
            done(None, asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            done(None, error)
        else:
            done(task.result(), None)


class Tasks:
    """Runs coroutines. The loop and its thread are made for the first one and end with `close`."""

    def __init__(
        self, clock: Clock, name: str, failed: Callable[[str, BaseException], object]
    ) -> None:
        """Have no loop yet; `failed` is told of errors that nobody else is told."""
        self._clock = clock
        self._name = name
        self._failed = failed
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: ThreadLike | None = None
        self._flow: object = None
        self._closed = False

    def inside(self) -> bool:
        """Say whether the caller runs on the event loop."""
        return self._flow is not None and self._flow == self._clock.flow()

    def start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        done: Done | None = None,
        label: str = "a coroutine",
    ) -> Task:
        """Run a coroutine, in the caller's context, and return at once.

        `done` is told what came of it; without it an error is reported as that of `label`.
        Raises LifecycleError after `close`.
        """
        try:
            loop = self._running_loop()
        except RuntimeError:  # it has ended, or has no thread
            coroutine.close()
            raise
        task = Task(loop)
        told = done or (lambda result, error: self._report(label, error))
        loop.call_soon_threadsafe(task.begin, coroutine, told, label)
        return task

    def run(
        self,
        coroutine: Coroutine[Any, Any, Any],
        timeout_s: float | None = None,
        label: str = "a coroutine",
    ) -> Any:
        """Run a coroutine, in the caller's context, and wait for its result.

        Raises what it raises, and TurnTimeoutError when it was not done within `timeout_s`
        seconds: then it is cancelled. On the event loop itself, where this would wait for ever,
        it raises LifecycleError; `await` it there.
        """
        if self.inside():
            coroutine.close()
            raise LifecycleError(f"{label}: the event loop cannot wait for itself; use `await`")
        over: EventLike = self._clock.Event()
        outcome: list[tuple[Any, BaseException | None]] = []

        def done(result: Any, error: BaseException | None) -> None:
            outcome.append((result, error))
            over.set()

        task = self.start(coroutine, done, label)
        if not over.wait(timeout_s):
            task.cancel()
            raise TurnTimeoutError(f"{label}: not done within {timeout_s} s")
        result, error = outcome[0]
        if error is not None:
            raise error if isinstance(error, Exception) else LifecycleError(f"{label}: cancelled")
        return result

    def close(self, limit_s: float = 1.0) -> None:
        """Cancel every coroutine, give each `limit_s` seconds to end, and end the loop."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return
        loop.call_soon_threadsafe(lambda: self._begin_end(loop, limit_s))
        if not self.inside():
            thread.join(limit_s + 0.5)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        from edgekernel.core.clockloop import make_loop

        with self._lock:
            if self._closed:
                raise LifecycleError(f"{self._name}: the event loop has ended")
            if self._loop is None:
                self._loop = make_loop(self._clock)
                self._loop.set_exception_handler(lambda loop, context: self._unheard(context))
                self._thread = self._clock.Thread(self._live, self._name)
                try:
                    self._thread.start()
                except BaseException:  # such as no more threads: the next one tries again
                    self._loop.close()
                    self._loop = self._thread = None
                    raise
            return self._loop

    def _live(self) -> None:
        assert self._loop is not None
        self._flow = self._clock.flow()
        try:
            while True:
                try:
                    self._loop.run_forever()
                    return
                except (SystemExit, KeyboardInterrupt) as error:  # of a coroutine: no other's end
                    self._failed(self._name, error)
        finally:
            self._flow = None
            self._loop.close()

    def _begin_end(self, loop: asyncio.AbstractEventLoop, limit_s: float) -> None:
        self._ending = loop.create_task(self._end(loop, limit_s))

    async def _end(self, loop: asyncio.AbstractEventLoop, limit_s: float) -> None:
        import asyncio

        others = asyncio.all_tasks() - {self._ending}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=limit_s)
        for task in others:
            if not task.done():
                self._failed(task.get_name(), LifecycleError("it goes on although it is cancelled"))
        await loop.shutdown_asyncgens()
        loop.stop()

    def _report(self, label: str, error: BaseException | None) -> None:
        import asyncio

        if error is not None and not isinstance(error, asyncio.CancelledError):
            self._failed(label, error)

    def _unheard(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, BaseException):
            error = LifecycleError(str(context.get("message")))
        self._failed(self._name, error)
