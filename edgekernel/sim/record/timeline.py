"""A run as a picture: readings, outputs, faults and notable events, one below the other in time."""

from __future__ import annotations

import re
from itertools import groupby
from math import ceil, log10

from edgekernel.core.messages import Severity
from edgekernel.core.sample import Quality
from edgekernel.sim.record.recorder import NotableEvent, PlayedFault, Recorder
from edgekernel.sim.record.svg import Svg
from edgekernel.sim.record.track import BUCKETS, Track

_WIDTH, _LEFT, _PLOT = 1240.0, 190.0, 900.0
_RIGHT = _LEFT + _PLOT
_CURVE, _SWITCH, _GAP = 64.0, 16.0, 10.0  # a constant takes as little as a switch
_FAULT = 17.0
_LISTED = 14
_GREY, _GRID, _FAULTY = "#6e7781", "#e6e9ed", "#cf5a00"
_READING, _OUTPUT = "#0969da", "#1a7f37"
_DOUBT = {Quality.BAD: "#d1242f", Quality.UNCERTAIN: "#d4a72c"}
_SEVERITY = {Severity.WARNING: "#bf8700", Severity.ERROR: "#d1242f", Severity.CRITICAL: "#82071e"}
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_DAY_S = 86_400
_NUMBER = re.compile(r"\d[\d.,:_]*")


def draw(recorder: Recorder, title: str, subtitle: str = "") -> str:
    """Return an SVG picture of a run that has ended."""
    return _Timeline(recorder).draw(title, subtitle)


class _Timeline:
    """The picture, drawn from top to bottom."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._span_s = max(recorder.span_s, 1e-9)
        self._svg = Svg(_WIDTH)
        self._y = 0.0

    def draw(self, title: str, subtitle: str) -> str:
        self._svg.text(16, 28, title, size=17, bold=True)
        self._svg.text(16, 46, subtitle, size=11, fill=_GREY)
        self._legend()
        self._y = 84.0
        body_top = self._y
        tracks = self._recorder.tracks.values()
        curves = [each for each in tracks if _moves(each)]
        flat = [each for each in tracks if each.kind is not str and not _moves(each)]
        height = self._height(len(curves), len(flat))
        self._grid(body_top - 8, body_top + height)
        self._shade_faults(body_top - 8, body_top + height)
        self._faults()
        self._marks()
        for track in sorted(curves, key=lambda each: each.is_output):
            self._curve(track)
        for track in sorted(flat, key=lambda each: (each.is_output, each.kind is bool)):
            self._switch(track) if track.kind is bool else self._constant(track)
        self._list()
        return self._svg.render(self._y + 16)

    def _legend(self) -> None:
        x = _RIGHT
        meanings = {
            "fault": _FAULTY,
            "uncertain": _DOUBT[Quality.UNCERTAIN],
            "bad": _DOUBT[Quality.BAD],
            "output": _OUTPUT,
            "reading": _READING,
        }
        for words, fill in meanings.items():
            self._svg.text(x, 28, words, size=10.5, fill=_GREY, anchor="end")
            x -= 6.2 * len(words) + 14
            self._svg.rect(x, 19, 10, 10, fill, opacity=0.85, radius=2)
            x -= 14

    def _height(self, curves: int, flat: int) -> float:
        rows = len(self._lanes())
        faults = rows * _FAULT + _GAP if rows else 0
        marks = 14 + _GAP if self._recorder.notable else 0
        return faults + marks + curves * (_CURVE + _GAP) + flat * (_SWITCH + _GAP)

    def _x(self, at_s: float) -> float:
        return _LEFT + _PLOT * min(1.0, max(0.0, at_s / self._span_s))

    def _grid(self, top: float, bottom: float) -> None:
        """Draw a line for each round time, and write above it how long after the start that is."""
        days_s = _DAY_S * ceil(self._span_s / (12 * _DAY_S))
        step_s = next((s for s in _STEPS if self._span_s / s <= 13), days_s)
        for index in range(int(self._span_s / step_s) + 1):
            x = self._x(index * step_s)
            self._svg.line(x, top, x, bottom, _GRID)
            text = _moment(index * step_s, self._span_s)
            self._svg.text(x, top - 5, text, size=10, fill=_GREY, anchor="middle")

    def _lanes(self) -> list[list[PlayedFault]]:
        """Return the faults of the run, those of one entry of the plan together."""
        ordered = sorted(self._recorder.faults, key=lambda each: int(each.fault))
        return [list(group) for _, group in groupby(ordered, lambda each: each.fault)]

    def _end_s(self, fault: PlayedFault) -> float:
        return fault.began_s if fault.ended_s is None else fault.ended_s

    def _shade_faults(self, top: float, bottom: float) -> None:
        for fault in self._recorder.faults:
            x = self._x(fault.began_s)
            width = max(1.0, self._x(self._end_s(fault)) - x)
            self._svg.rect(x, top, width, bottom - top, _FAULTY, opacity=0.06)

    def _faults(self) -> None:
        for lane in self._lanes():
            first = lane[0]
            label = f"{first.kind} {first.target.partition(' ')[2]}".strip()
            self._label(self._y + 11, label, _FAULTY)
            for fault in lane:
                x = self._x(fault.began_s)
                width = max(2.5, self._x(self._end_s(fault)) - x)
                title = f"{fault.kind} {fault.target} {fault.settings}"
                self._svg.rect(x, self._y + 2, width, 10, _FAULTY, radius=2, title=title)
            told = first.settings if len(first.settings) <= 24 else first.settings[:23] + "…"
            times = f"{len(lane)}x " if len(lane) > 1 else ""
            self._note(self._y + 11, times + told)
            self._y += _FAULT
        self._y += _GAP if self._recorder.faults else 0

    def _marks(self) -> None:
        """Draw a mark for each notable event."""
        if not self._recorder.notable:
            return
        self._label(self._y + 10, "warnings, errors", _GREY)
        for event in self._recorder.notable:
            x, fill = self._x(event.at_s), _SEVERITY[event.severity]
            title = f"{_moment(event.at_s, 0)} {event.name} {event.text}"
            self._svg.rect(x - 1, self._y, 2, 12, fill, opacity=0.8, title=title)
        self._note(self._y + 10, self._how_many())
        self._y += 14 + _GAP

    def _how_many(self) -> str:
        """Say how many notable events there were, and if they are not all drawn."""
        counted = self._recorder.events.items()
        total = sum(n for (_, severity), n in counted if severity >= Severity.WARNING)
        drawn = len(self._recorder.notable)
        return f"{total} events" if drawn == total else f"first {drawn} of {total} events"

    def _curve(self, track: Track) -> None:
        top, bottom = self._y, self._y + _CURVE
        colour = _OUTPUT if track.is_output else _READING
        self._label(top + 14, track.label, colour)
        self._svg.text(16, top + 28, f"mean {_number(track, track.mean)}", size=10, fill=_GREY)
        self._note(top + 9, _number(track, track.high))
        self._note(bottom - 1, _number(track, track.low))
        self._svg.line(_LEFT, bottom, _RIGHT, bottom, _GRID)
        self._doubts(track, top, _CURVE)
        for points in self._pieces(track, top + 3, bottom - 3):
            upper = [(x, high) for x, _, high in points]
            lower = [(x, low) for x, low, _ in points]
            self._svg.area(upper + lower[::-1], colour)
            self._svg.path([(x, (low + high) / 2) for x, low, high in points], colour)
        self._y = bottom + _GAP

    def _pieces(
        self, track: Track, top: float, bottom: float
    ) -> list[list[tuple[float, float, float]]]:
        """Return the curve in pieces without a gap: x, y of the least and of the greatest value."""
        span = track.high - track.low
        scale = (bottom - top) / span if span > 0 else 0.0
        middle = (top + bottom) / 2

        def y(value: float) -> float:
            return bottom - (value - track.low) * scale if scale else middle

        pieces: list[list[tuple[float, float, float]]] = [[]]
        for index, limits in enumerate(track.curve):
            if limits is None:
                pieces.append([])
                continue
            x = _LEFT + _PLOT * (index + 0.5) / BUCKETS
            pieces[-1].append((x, y(limits[0]), y(limits[1])))
        return [each if len(each) > 1 else each * 2 for each in pieces if each]

    def _switch(self, track: Track) -> None:
        colour = _OUTPUT if track.is_output else _READING
        self._label(self._y + 12, track.label, colour)
        self._svg.rect(_LEFT, self._y, _PLOT, _SWITCH, "#f3f4f6")
        for span in track.on:
            x = self._x(span.begin_s)
            width = max(0.8, self._x(span.end_s) - x)
            self._svg.rect(x, self._y + 1, width, _SWITCH - 2, colour, opacity=0.85)
        self._doubts(track, self._y, _SWITCH)
        share = 100 * track.on_s / self._span_s
        self._note(self._y + 12, f"on {share:.3g} %, {track.changes} changes")
        self._y += _SWITCH + _GAP

    def _constant(self, track: Track) -> None:
        """Draw a number that has never changed, or has never been known."""
        colour = _OUTPUT if track.is_output else _READING
        self._label(self._y + 12, track.label, colour)
        if track.mean is None:
            self._note(self._y + 12, "never had a value")
        else:
            self._note(self._y + 12, f"always {_number(track, track.mean)}")
            for points in self._pieces(track, self._y, self._y + _SWITCH):
                self._svg.path([(x, low) for x, low, _ in points], colour)
        self._doubts(track, self._y, _SWITCH)
        self._y += _SWITCH + _GAP

    def _doubts(self, track: Track, top: float, height: float) -> None:
        """Colour the times in which the quality was not GOOD."""
        for span in track.doubtful:
            assert isinstance(span.state, Quality)
            x, fill = self._x(span.begin_s), _DOUBT[span.state]
            width = max(0.8, self._x(span.end_s) - x)
            title = f"{track.label} {span.state.value}"
            self._svg.rect(x, top, width, height, fill, opacity=0.18, title=title)
            self._svg.rect(x, top + height - 2, width, 2, fill)

    def _list(self) -> None:
        """Write the first notable events below, those that differ in numbers only once."""
        grouped: dict[tuple[str, str], list[NotableEvent]] = {}
        for event in self._recorder.notable:
            grouped.setdefault((event.name, _NUMBER.sub("0", event.text)), []).append(event)
        self._y += 18
        for first, *others in list(grouped.values())[:_LISTED]:
            times = f"  ({len(others) + 1} times)" if others else ""
            words = first.text if len(first.text) <= 150 else first.text[:149] + "…"
            self._svg.rect(16, self._y - 8, 8, 8, _SEVERITY[first.severity], radius=2)
            self._svg.text(32, self._y, _moment(first.at_s, 0), size=10.5, fill=_GREY)
            self._svg.text(112, self._y, first.name, size=10.5, bold=True)
            self._svg.text(270, self._y, words + times, size=10.5)
            self._y += 16
        if len(grouped) > _LISTED:
            more = f"and {len(grouped) - _LISTED} other kinds of events"
            self._svg.text(32, self._y, more, size=10.5, fill=_GREY)
            self._y += 16

    def _label(self, y: float, words: str, fill: str) -> None:
        words = words if len(words) <= 26 else words[:25] + "…"
        self._svg.text(16, y, words, size=11.5, fill=fill, bold=True)

    def _note(self, y: float, words: str) -> None:
        self._svg.text(_RIGHT + 8, y, words, size=10, fill=_GREY)


def _moves(track: Track) -> bool:
    """Say whether it is a number that was not always the same."""
    return track.numeric and track.mean is not None and track.high > track.low


def _number(track: Track, value: float | None) -> str:
    """Write a number as finely as the least and the greatest of its track differ, with unit."""
    assert value is not None, "only what has a value is drawn"
    span, greatest = track.high - track.low, max(abs(track.high), abs(track.low))
    digits = 4 if span <= 0 or greatest <= 0 else 2 + ceil(log10(max(1.0, greatest / span)))
    text = f"{value:.{min(9, max(4, digits))}g}"
    return f"{text} {track.unit}" if track.unit else text


def _moment(at_s: float, span_s: float) -> str:
    """Write a time of the run, as finely as the run is long; 0 is as finely as can be."""
    days, rest_s = divmod(at_s, _DAY_S)
    hours, minutes = divmod(int(rest_s) // 60, 60)
    seconds = rest_s - 60 * (60 * hours + minutes)
    if span_s > 3 * _DAY_S:
        return f"day {int(days)}" + (f" {hours:02}h" if hours else "")
    head = f"{int(days)}d " if days and not span_s else ""
    if span_s >= 2 * 3600:
        return f"{hours + 24 * int(days):02}:{minutes:02}"
    return f"{head}{hours:02}:{minutes:02}:{int(seconds):02}"
