"""Tape: everything that the boundaries of a board have answered, to be asked again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgekernel.backends.recording import Transaction
from edgekernel.backends.replay.failures import ended_the_caller, failure
from edgekernel.backends.replay.track import Key, Latest, Track, frozen
from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.errors import BrokenError

_WRITES = ("write", "write_block")
_ONCE = ("open", "close", "flush", "discard_input")
"""Calls that are the same ones whatever their arguments."""


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """A question that nobody asked then: it has no answer."""

    monotonic_ns: int
    time_ns: int
    kind: str
    name: str
    op: str
    args: tuple[Any, ...]


class Tape:
    """The calls at all boundaries by what was asked. See `Track` for which one answers when.

    A read without a register is told from others by what was written to its address last. During
    the boot an answer comes when it came then, so that what the boot starts is at its time; later
    it takes as long as it took then.
    """

    def __init__(
        self, calls: Iterable[Transaction], clock: Clock, *, window_ns: int, booted_ns: int
    ) -> None:
        """Take the calls in order; `booted_ns` is the monotonic time at which the boot ended."""
        self.clock = clock
        self.window_ns = window_ns
        self.repeated = 0
        """How often the latest answer was given once more."""
        self.unrecorded: list[Unrecorded] = []
        self._booted_ns = booted_ns
        self._tracks: dict[Key, Track] = {}
        self._latest: dict[Key, Latest] = {}
        self._all: dict[tuple[str, str], list[Transaction]] = {}
        written: dict[tuple[str, Any], bytes] = {}
        for call in calls:
            if not ended_the_caller(call.error):
                self._take(call, written)
        self._written: dict[tuple[str, Any], bytes] = {}

    def of(self, kind: str, name: str) -> list[Transaction]:
        """Return the calls at one boundary, in order."""
        return self._all.get((kind, name), [])

    def ask(
        self, kind: str, name: str, op: str, args: tuple[Any, ...], options: Mapping[str, Any]
    ) -> Any:
        """Return what was answered, or raise what was raised.

        Raises BrokenError for a question that nobody asked then; a write is always taken.
        """
        key = _key(kind, name, op, args, options, self._written)
        track = self._tracks.get(key)
        if track is None:
            return self._unanswered(kind, name, op, args)
        call, fresh = track.answer(self.clock.monotonic_ns())
        if fresh:
            return self.result(call)
        return self._again(track, call, args)

    def call_for(self, kind: str, name: str, op: str) -> tuple[Transaction, bool] | None:
        """Return the call that answers one without arguments, and whether for the first time.

        None if there is none.
        """
        track = self._tracks.get((kind, name, op))
        if track is None:
            return None
        call, fresh = track.answer(self.clock.monotonic_ns())
        if fresh:
            self._let_pass(call)
        else:
            self.repeated += 1
        return call, fresh

    def result(self, call: Transaction) -> Any:
        """Return what came of a call, or raise it, after its time."""
        self._let_pass(call)
        return outcome(call)

    def _let_pass(self, call: Transaction) -> None:
        wait_ns = call.took_ns
        if call.monotonic_ns <= self._booted_ns:
            wait_ns = call.monotonic_ns - self.clock.monotonic_ns()
        if wait_ns > 0:
            self.clock.sleep(wait_ns / NANOSECONDS)

    def note(self, kind: str, name: str, op: str, args: tuple[Any, ...]) -> None:
        """Note a question that nobody asked then."""
        now = self.clock.monotonic_ns(), self.clock.time_ns()
        self.unrecorded.append(Unrecorded(*now, kind, name, op, args))

    def _again(self, track: Track, latest: Transaction, args: tuple[Any, ...]) -> Any:
        """Return the latest answer once more, unless nobody would have answered at this time."""
        self.repeated += latest.result is not None
        self._check_alive(latest.kind, latest.name, args)
        good = track.good(self.clock.monotonic_ns())
        return outcome(latest if good is None else good)

    def _unanswered(self, kind: str, name: str, op: str, args: tuple[Any, ...]) -> Any:
        """Take a write that was never made; a read has no answer. Raises BrokenError."""
        self._check_alive(kind, name, args)
        if op in _WRITES or op in _ONCE:
            return None
        self.note(kind, name, op, args)
        raise BrokenError(f"{name}: {op}{_shown(args)} was never recorded: there is no answer")

    def _check_alive(self, kind: str, name: str, args: tuple[Any, ...]) -> None:
        """Raise what was raised by the latest call to the same chip, line or port, if it failed."""
        near = self._latest.get((kind, name, _place(kind, args)))
        latest = near.at(self.clock.monotonic_ns()) if near is not None else None
        if latest is not None and latest.error is not None:
            error = failure(latest.error, latest.text)
            if isinstance(error, OSError):  # others say what was wrong with that call
                raise error

    def _take(self, call: Transaction, written: dict[tuple[str, Any], bytes]) -> None:
        key = _key(call.kind, call.name, call.op, call.args, call.options, written)
        if key not in self._tracks:
            self._tracks[key] = Track(self.window_ns)
        self._tracks[key].add(call)
        self._all.setdefault((call.kind, call.name), []).append(call)
        if call.op not in _ONCE:
            place = call.kind, call.name, _place(call.kind, call.args)
            self._latest.setdefault(place, Latest()).add(call)


def outcome(call: Transaction) -> Any:
    """Return what came of a call, or raise it."""
    if call.error is not None:
        raise failure(call.error, call.text)
    return call.result


def _key(
    kind: str,
    name: str,
    op: str,
    args: tuple[Any, ...],
    options: Mapping[str, Any],
    written: dict[tuple[str, Any], bytes],
) -> Key:
    """Return what tells a question from others; note what an I²C chip is written."""
    if op in _ONCE or kind == "output":
        return kind, name, op
    key = kind, name, op, frozen(args), frozen(options)
    if kind != "i2c":
        return key if args or options else (kind, name, op)
    if op == "read":
        return *key, written.get((name, args[0]), b"")
    if op == "write":
        written[name, args[0]] = bytes(args[1])
    return key


def _place(kind: str, args: tuple[Any, ...]) -> Any:
    return args[0] if kind in ("i2c", "onewire") and args else None


def _shown(args: tuple[Any, ...]) -> str:
    return f"({', '.join(map(shown, args))})"


def shown(value: Any) -> str:
    """Return an argument as people write it: bytes in hexadecimal."""
    if isinstance(value, bytes | bytearray):
        return f"[{bytes(value).hex(' ')}]"
    return str(value)
