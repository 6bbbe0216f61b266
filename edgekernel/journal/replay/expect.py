"""Expectations: what is to be true of a replay, written as a sentence or as an assertion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekernel.core.clock import NANOSECONDS
from edgekernel.journal.describing import words_of
from edgekernel.journal.records import EventRecord, OutputRecord
from edgekernel.journal.replay.player import Replayed
from edgekernel.journal.text import iso
from edgekernel.node.duration import parse_duration

_SENTENCE = re.compile(
    r"(?P<no>no )?(?P<name>[\w.-]+)(?: is (?P<value>\S+))?"
    r"(?: within (?P<within>\S+))?(?: after (?P<after>\S+))?"
)
_HINT = (
    'write "fan.power is on within 30s after 12:04:10" of an output, "overheated within 1min '
    'after 12:04:10" of a message, or "no process.error"'
)
_WORDS = {"on": True, "true": True, "off": False, "false": False}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is to be: an output that has a value, or a message that is emitted, or none is.

    The time begins at the wall time `after_ns`, or at the begin of the run, and lasts `within_s`
    seconds, or to its end. `value` counts for an output, `fields` for a message.
    """

    name: str
    value: Any = None
    never: bool = False
    within_s: float | None = None
    after_ns: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def end_ns(self) -> int | None:
        """The wall time at which it is decided, if that is before the end of the run."""
        if self.after_ns is None or self.within_s is None:
            return None
        return self.after_ns + round(self.within_s * NANOSECONDS)

    def problem(self, replayed: Replayed) -> str:
        """Return what of a replay is not as expected; nothing if all is."""
        if self.value is not None:
            return self._output_problem(replayed)
        found = [
            event
            for event in replayed.events()
            if event.name == self.name and self._is_in_time(event.time_ns) and self._fits(event)
        ]
        if self.never and found:
            listed = "".join(f"\n  {_told(event)}" for event in found[:_SHOWN])
            return f"{self._said()} came {_times(len(found))}:{listed}{_traceback(found[0])}"
        if not self.never and not found:
            return f"{self._said()} did not come{self._when()}"
        return ""

    def code(self) -> str:
        """Return it as the call of an assertion, in Python."""
        given = [_literal(self.name)]
        method = "assert_none" if self.never else "assert_emitted"
        if self.value is not None:
            method = "assert_output"
            given.append(_literal(self.value))
        if self.within_s is not None:
            given.append(f"within={self.within_s:g}")
        if self.after_ns is not None:
            given.append(f"after={_literal(iso(self.after_ns)[:23])}")
        given += [f"{name}={_literal(value)}" for name, value in self.fields.items()]
        return f"{method}({', '.join(given)})"

    def _output_problem(self, replayed: Replayed) -> str:
        value: Any = None
        for record in replayed.records:
            if not isinstance(record, OutputRecord) or record.output != self.name:
                continue
            if self.end_ns is not None and record.time_ns > self.end_ns:
                break
            if value == self.value and record.time_ns > (self.after_ns or 0):
                return ""  # it had it until now
            value = record.setpoint
        if value == self.value:
            return ""
        return f"{self.name} was not set to {self.value!r}{self._when()}; it is {value!r}"

    def _is_in_time(self, time_ns: int) -> bool:
        begun = self.after_ns is None or time_ns >= self.after_ns
        return begun and (self.end_ns is None or time_ns <= self.end_ns)

    def _fits(self, event: EventRecord) -> bool:
        return all(event.payload.get(name) == value for name, value in self.fields.items())

    def _said(self) -> str:
        return " ".join([self.name, *(f"{n}={v!r}" for n, v in self.fields.items())])

    def _when(self) -> str:
        within = "" if self.within_s is None else f" within {self.within_s:g} s"
        return within + ("" if self.after_ns is None else f" after {iso(self.after_ns)[:23]}")


def parse(sentence: str, wall_time_ns: Callable[[str], int]) -> Expectation:
    """Return the expectation of a sentence; `wall_time_ns` reads its time. Raises ValueError."""
    match = _SENTENCE.fullmatch(sentence.strip())
    if match is None or (match["no"] and match["value"]):
        raise ValueError(f"{sentence!r} is not understood; {_HINT}")
    within_s = None if match["within"] is None else parse_duration(match["within"])
    after_ns = None if match["after"] is None else wall_time_ns(match["after"])
    value = None if match["value"] is None else _value(match["value"])
    return Expectation(match["name"], value, bool(match["no"]), within_s, after_ns)


def problems(expectations: Iterable[Expectation], replayed: Replayed) -> list[str]:
    """Return what of a replay is not as expected."""
    return [found for each in expectations if (found := each.problem(replayed))]


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _told(event: EventRecord) -> str:
    return f"{iso(event.time_ns)[:23].replace('T', ' ')}  {event.source}  {words_of(event)}"


def _traceback(event: EventRecord) -> str:
    trace = event.payload.get("traceback")
    return f"\n\n{trace}" if isinstance(trace, str) else ""


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
