"""The standby: a process with everything at hand to make a node safe, which waits for its agent.

An agent hands over a pidfd of itself, and the documents of what it drives. The kernel makes that
file readable when the last thread of the agent is gone, whatever has ended it, and after it has
taken back its lines and ports; it stays so, and the number of the process cannot be another's. What
the agent has sent before its end is read first: that may be that nothing is left to do.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from edgekernel.core.errors import ConfigError, describe
from edgekernel.node.safe_state import LIMIT_S, SafeOutput, SafeState

Documents = Sequence[dict[str, Any]]

_PORTION = 1 << 16
_LONGEST = 1 << 24
"""More than any node's documents have; a caller that sends more is not understood."""


class Standby:
    """Waits for the end of one agent, without using the processor; then makes its node safe."""

    def __init__(self, listener: socket.socket, prepare: Callable[[Documents], SafeState]) -> None:
        """Listen on a socket for an agent. `prepare` makes ready what documents of nodes say, and
        raises ConfigError where that is impossible."""
        self._prepare = prepare
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._callers: dict[int, _Caller] = {}
        self._agent: _Caller | None = None
        self._end: int | None = None  # the agent's pidfd
        self._state: SafeState | None = None
        self.took_s = 0.0
        """How long it took until each output was safe or given up."""

    def wait(self) -> None:
        """Wait until the agent has ended."""
        while True:
            found = [key.fd for key, _ in self._selector.select()]
            if self._end in found:
                return
            for fd in found:
                if fd == self._listener.fileno():
                    self._accept()
                else:
                    self._hear(self._callers[fd])

    def drive(self, limit_s: float = LIMIT_S) -> list[SafeOutput]:
        """Drive what the agent may have driven to its safe values, after `wait`.

        Nothing is touched if the agent has said that all of it is safe. What it said last, and
        nothing has been made ready for, is made ready after the rest is safe.
        """
        asked = [] if self._agent is None else self._agent.last_words()
        if asked and not asked[-1]:
            return []
        outcomes = [] if self._state is None else self._drive(self._state, limit_s)
        if asked:
            try:
                outcomes += self._drive(self._prepare(asked[-1]), limit_s)
            except Exception as error:  # of a driver
                outcomes.append(SafeOutput("what it began to drive", None, describe(error)[0]))
        return outcomes

    def _drive(self, state: SafeState, limit_s: float) -> list[SafeOutput]:
        outcomes = state.drive(limit_s)
        self.took_s += state.took_s
        return outcomes

    def close(self) -> None:
        """Hang up on whoever waits, who so learns that what was to be done is done."""
        self._selector.close()
        for caller in self._callers.values():
            caller.close()
        if self._end is not None:
            os.close(self._end)
            self._end = None

    def _accept(self) -> None:
        caller = _Caller(self._listener.accept()[0])
        self._callers[caller.fd] = caller
        self._selector.register(caller.fd, selectors.EVENT_READ)

    def _hear(self, caller: _Caller) -> None:
        try:
            for message in caller.messages():
                if message:  # an empty one brings the pidfd
                    caller.answer(self._problems_of(caller, message))
        except ValueError:  # it does not speak as an agent does
            caller.is_over = True
        if caller.is_over:
            self._selector.unregister(caller.fd)
            del self._callers[caller.fd]
            caller.close()

    def _problems_of(self, caller: _Caller, message: dict[str, Any]) -> Sequence[str]:
        """Do what a caller wants; return what is wrong with it."""
        if "watch" not in message:
            return ()
        if caller is not self._agent and (problem := self._adopt(caller)):
            return (problem,)
        documents = message["watch"]
        try:
            self._state = self._prepare(documents) if documents else None
        except ConfigError as error:
            return error.problems
        except Exception as error:  # of a driver: what was ready before stays so
            return (describe(error)[0],)
        return ()

    def _adopt(self, caller: _Caller) -> str:
        """Watch a caller instead of the one before; return why it cannot be watched."""
        if self._agent is not None and not self._agent.is_over:
            return "another agent is being watched"
        if caller.passed is None:
            return "it has handed over no pidfd"
        if self._end is not None:
            self._selector.unregister(self._end)
            os.close(self._end)
        self._agent, self._end, caller.passed = caller, caller.passed, None
        self._selector.register(self._end, selectors.EVENT_READ)
        return ""


class _Caller:
    """Who has called: an agent, or `safe-state`, which waits."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._received = bytearray()
        self.fd = channel.fileno()
        self.passed: int | None = None
        """A file that it has handed over."""
        self.is_over = False
        """Whether it has hung up."""

    def messages(self) -> Iterator[dict[str, Any]]:
        """Give the messages that have come. Raises ValueError for what is none."""
        while not self.is_over:
            try:
                data, files, _, _ = socket.recv_fds(self._channel, _PORTION, 1)
            except BlockingIOError:
                break
            except OSError:  # it has ended without reading all answers
                self.is_over = True
                break
            if files:
                self._drop()
                self.passed = files[0]
            self.is_over = not data
            self._received += data
            if len(self._received) > _LONGEST:
                raise ValueError("too long")
        while (end := self._received.find(b"\n")) >= 0:
            line, self._received = self._received[:end], self._received[end + 1 :]
            message = json.loads(line)
            if not isinstance(message, dict):
                raise ValueError("no message")
            yield message

    def last_words(self) -> list[Documents]:
        """Return what it wants to be watched for, of what has not been read before."""
        found: list[Documents] = []
        with suppress(ValueError):
            for message in self.messages():
                found += [message["watch"]] if "watch" in message else []
        return found

    def answer(self, problems: Sequence[str]) -> None:
        """Say that what it wanted is done, or what is wrong, if it is still there."""
        with suppress(OSError):
            self._channel.sendall(json.dumps({"problems": list(problems)}).encode() + b"\n")

    def close(self) -> None:
        """Hang up."""
        self._channel.close()
        self._drop()

    def _drop(self) -> None:
        if self.passed is not None:
            os.close(self.passed)
            self.passed = None
