"""A thread that describes the node, at first and when it may have changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgekernel.core import message
from edgekernel.core.context import Context
from edgekernel.core.errors import describe
from edgekernel.core.messages import Message
from edgekernel.mqtt.announcing import CHANGES

_END_S = 0.5

Schema = Mapping[str, Any]


class Describing:
    """Gives the schema of the node to `described`, for a dialect that needs nothing else.

    On a thread of its own: to describe commands takes too long for a turn on a small board.
    """

    def __init__(self, ctx: Context, described: Callable[[Schema], object]) -> None:
        """Prepare; `described` is called by one thread at a time, when the schema may have
        changed."""
        self._ctx = ctx
        self._described = described
        self._lock = ctx.clock.Lock()  # around a description, so that the latest is given last
        self._asked = ctx.clock.Event()
        self._closing = self._is_known = self._started = False
        self._thread = ctx.clock.Thread(self._run, f"{ctx.runtime.name}:describing")

    def start(self) -> None:
        """Begin; the runtime has booted."""
        self._started = True
        self._thread.start()

    def describe(self) -> None:
        """Describe the node, unless nothing has changed since it was described."""
        with self._lock:
            if self._is_known:
                return
            self._is_known = True  # first: a change meanwhile is looked at
            try:
                self._describe()
            except Exception as error:  # of a part that is described: looked at at the next change
                told = message.InterfaceError(self._ctx.source, "describing", *describe(error))
                self._ctx.runtime.post(told, self._ctx.source)

    def noticed(self, payload: Message) -> None:
        """Look again if a message tells of a change; not while everything is being stopped."""
        if isinstance(payload, message.RuntimeShuttingDown):
            self._closing = True
        elif isinstance(payload, CHANGES):
            self._is_known = False
            self._asked.set()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._asked.set()
        if self._started:
            self._thread.join(_END_S)

    def _run(self) -> None:
        while not self._closing:
            self.describe()
            self._asked.wait()
            self._asked.clear()

    def _describe(self) -> None:
        from edgekernel.node.schema import describe_node  # pydantic: not before it is needed

        self._described(describe_node(self._ctx.runtime))
