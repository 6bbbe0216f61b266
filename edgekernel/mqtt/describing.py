"""A thread that describes the node, at first and when it may have changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.context import Context
from edgekernel.core.errors import describe
from edgekernel.core.messages import Message

_EVERY_NS = 30 * NANOSECONDS
_END_S = 0.5

CHANGES = (
    message.HotAdded,
    message.HotRemoved,
    message.HotUpdated,
    message.ComponentStarted,
    message.ComponentStopped,
    message.ServiceStarted,  # only now its commands are there: they come with its thread
    message.RuntimeDegraded,
    message.RuntimeRecovered,
)
"""After these the schema may be another one."""

Schema = Mapping[str, Any]


class Describing:
    """Gives the schema of the node to `described`, at first and when it may have changed.

    On a thread of its own: to describe commands takes too long for a turn on a small board.
    """

    def __init__(
        self,
        ctx: Context,
        described: Callable[[Schema], object],
        *,
        name: str = "describing",
        outdated: Callable[[], bool] = lambda: False,
        beat: Callable[[], object] | None = None,
    ) -> None:
        """Prepare; `described` is called by one thread at a time, when the schema may have changed.

        Each time the thread wakes it asks whether what was told is `outdated` by something else.
        Every 30 s, and when `beat_now` says so, it calls the `beat`, if there is one. Under `name`
        it tells of what raises.
        """
        self._ctx = ctx
        self._described = described
        self._name = name
        self._outdated = outdated
        self._beat = beat
        self._lock = ctx.clock.Lock()  # around a description, so that the latest is given last
        self._asked = ctx.clock.Event()
        self._closing = self._is_known = self._started = False
        self._due_ns = ctx.clock.monotonic_ns() + _EVERY_NS  # or when there is a link
        self._thread = ctx.clock.Thread(self._run, f"{ctx.runtime.name}:{name}")

    def start(self) -> None:
        """Begin; the runtime has booted."""
        self._started = True
        self._thread.start()

    def describe(self) -> None:
        """Describe the node, unless nothing has changed since it was described."""
        with self._lock:
            if not self._is_known:
                self._is_known = True  # first: a change meanwhile is looked at
                self._guarded(self._describe)

    def again(self) -> None:
        """Describe the node again, soon."""
        self._is_known = False
        self._asked.set()

    def beat_now(self) -> None:
        """Call the beat, soon."""
        self._due_ns = 0
        self._asked.set()

    def noticed(self, payload: Message) -> None:
        """Look again if a message tells of a change; not while everything is being stopped."""
        if isinstance(payload, message.RuntimeShuttingDown):
            self._closing = True
        elif isinstance(payload, CHANGES):
            self.again()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._asked.set()
        if self._started:
            self._thread.join(_END_S)

    def _run(self) -> None:
        while not self._closing:
            with self._lock:
                if self._outdated():
                    self._is_known = False
            self.describe()
            if self._beat is None:
                self._asked.wait()
            else:
                self._beat_if_due(self._beat)
                self._ctx.clock.wait_until(self._asked, self._due_ns)
            self._asked.clear()

    def _beat_if_due(self, beat: Callable[[], object]) -> None:
        now_ns = self._ctx.clock.monotonic_ns()
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + _EVERY_NS
            self._guarded(beat)

    def _describe(self) -> None:
        from edgekernel.node.schema import describe_node  # pydantic: not before it is needed

        schema = describe_node(self._ctx.runtime)
        if not self._closing:  # else parts may be missing in it
            self._described(schema)

    def _guarded(self, step: Callable[[], object]) -> None:
        """Report what a part raises that is described; it is looked at again at the next change."""
        try:
            step()
        except Exception as error:
            told = message.InterfaceError(self._ctx.source, self._name, *describe(error))
            self._ctx.runtime.post(told, self._ctx.source)
