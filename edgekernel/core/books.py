"""Books: what is kept and told about every call that has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edgekernel.core import message
from edgekernel.core.call import Call, Invocation
from edgekernel.core.callgraph import CallGraph
from edgekernel.core.messages import Message

_UNDELIVERED = ("unknown", "failed", "timeout")


class Books:
    """The audit of a runtime, its dead letters and its call graph."""

    def __init__(self, tell: Callable[[Message], object]) -> None:
        """Begin with nothing; `tell` emits a message without keeping the caller."""
        self._tell = tell
        self.graph = CallGraph()
        self.audit: deque[Invocation] = deque(maxlen=1000)
        self.dead_letters: deque[Invocation] = deque(maxlen=200)

    def enter(self, call: Call, audited: bool) -> None:
        """Enter a call that has ended; one that was refused is recorded in any case."""
        if audited or call.refused:
            self.audit.append(call.record())
        if call.repeated or (call.request.dry_run and not call.refused):
            return
        self._count(call)
        who, failure = call.request.principal, call.failure
        if call.refused:
            self._tell(message.CommandRefused(call.name, who, call.code, failure))
        elif audited:
            self._tell(
                message.CommandDone(call.name, who, call.error is None, failure, call.took_s)
            )
        if call.code in _UNDELIVERED:
            self.dead_letters.append(call.record())
            self._tell(message.DeadLetter(call.name, call.code, failure))

    def _count(self, call: Call) -> None:
        if call.begun:
            failed = call.error is not None
            self.graph.done(call.name, call.caller, call.begun_s, call.took_s, failed)
        elif call.command is not None:
            self.graph.refused(call.name)
