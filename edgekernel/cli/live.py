"""The views of a running node: a live picture of it, or a line per event."""

from __future__ import annotations

import json
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edgekernel.cli.console import out, show, table
from edgekernel.core.device import Device
from edgekernel.core.messages import Event, Message, Severity
from edgekernel.core.output import Output
from edgekernel.core.reading import Reading
from edgekernel.core.runtime import Runtime
from edgekernel.core.sample import Quality
from edgekernel.core.tracebacks import one_line, place
from edgekernel.node.plan import Plan

_BARS = "▁▂▃▄▅▆▇█"
_COLOURS = {
    Severity.DEBUG: "dim",
    Severity.INFO: "",
    Severity.WARNING: "yellow",
    Severity.ERROR: "red",
    Severity.CRITICAL: "bold red",
}
_PRIORITIES = {
    Severity.DEBUG: 7,
    Severity.INFO: 6,
    Severity.WARNING: 4,
    Severity.ERROR: 3,
    Severity.CRITICAL: 2,
}
"""Those of syslog(3)."""
_REFRESH_HZ = 4
_HISTORY = 40
_EVENTS = 12
_LEAST_FRAMED = 6
_WIDE = 100
_IN_PANEL = 60
"""Letters of a field in the panel of the events."""


class View(Protocol):
    """Something that shows a runtime while it is entered."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


def describe(event: Event, longest: int | None = None) -> str:
    """Return an event as one line: time, name, fields, and where in the application it went wrong.

    `longest` is how many letters of each field are shown; None: all.
    """
    fields = event.payload.to_dict()
    trace = fields.pop("traceback", None)
    said = [f"{name}={_said(value, longest)}" for name, value in fields.items()]
    if isinstance(trace, str) and (found := place(trace)) is not None:
        said.append(f"({found})")
    return one_line(f"{event.time:%H:%M:%S}  {event.payload.name:<22} {'  '.join(said)}")


def for_journald(event: Event) -> str:
    """Return an event as journald wants it: with its priority (sd-daemon(3)), and no time."""
    return f"<{_PRIORITIES[event.payload.severity]}>{describe(event)[10:]}"


def goes_to_journald(environment: Mapping[str, str], file: int) -> bool:
    """Say whether what is written to a file goes to journald (systemd.exec(5), $JOURNAL_STREAM)."""
    stream = environment.get("JOURNAL_STREAM", "")
    if not stream:
        return False
    try:
        found = os.fstat(file)
    except OSError:
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"


class EventLines:
    """Prints every event on standard output as it happens, as `show` writes it."""

    def __init__(
        self, runtime: Runtime, *, as_json: bool, show: Callable[[Event], str] = describe
    ) -> None:
        self._as_json = as_json
        self._show = show
        self._subscription = runtime.subscribe(Message, self._print)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._subscription.cancel()

    def _print(self, event: Event) -> None:
        try:
            if self._as_json:
                click.echo(json.dumps(as_dict(event), ensure_ascii=False, default=str))
            else:
                click.echo(self._show(event))
        except BrokenPipeError:  # who was reading has left; the node goes on
            self._subscription.cancel()
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (until the end)


def as_dict(event: Event) -> dict[str, Any]:
    """Return an event ready for JSON."""
    return {
        "seq": event.seq,
        "time": event.time.isoformat(),
        "monotonic": event.monotonic,
        "source": event.source,
        "cause": event.cause,
        "name": event.payload.name,
        "severity": event.payload.severity.name.lower(),
        "fields": event.payload.to_dict(),
    }


class LiveView:
    """A picture of the node that follows it: devices with their curves, and the last events."""

    def __init__(
        self, plan: Plan, runtime: Runtime, hints: Callable[[], list[str]], notice: str = ""
    ) -> None:
        """Show a runtime made of a plan, with hints; a `notice` stands out in its title."""
        self._notice = notice
        self._plan = plan
        self._runtime = runtime
        self._hints = hints
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._curves: dict[str, deque[float]] = {}
        self._subscription = runtime.subscribe(Message, self._note)
        self._live = Live(
            get_renderable=self._picture, refresh_per_second=_REFRESH_HZ, console=out, screen=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._live.stop()
        self._subscription.cancel()
        for event in self._events:
            out.print(_line(event), soft_wrap=True)

    def _note(self, event: Event) -> None:
        self._events.append(event)

    def _picture(self) -> RenderableType:
        runtime = self._runtime
        devices = table("", "device", "signal", "value", "", f"last {self._history} s")
        devices.columns[-1].no_wrap = True
        devices.columns[-1].overflow = "ellipsis"
        for device in runtime.devices.values():
            if device.kind != "bus" or not device.online:  # one that works takes no line
                self._rows(devices, device)
        uptime = int(runtime.clock.uptime())
        where = f"{self._plan.name} · {self._plan.board.name}"
        title = f"{where} · {runtime.phase} · {uptime} s · Ctrl-C stops it"
        if self._notice:
            title = f"{self._notice} · {title}"
        hints = Text("\n".join(self._hints()), style="dim")
        above = Group(hints, _panel(devices, title, "red" if self._notice else "green"))
        used = len(out.render_lines(above, out.options))
        return Group(above, self._last_events(out.height - used))

    def _last_events(self, height: int) -> RenderableType:
        """Return the events that fit into some lines, the newest last; framed if there is room."""
        framed = height >= _LEAST_FRAMED
        room = max(1, min(height - 2 if framed else height, _EVENTS))
        shown = [_line(event, _IN_PANEL) for event in list(self._events)[-room:]]
        events = shown or [Text("nothing yet", "dim")]
        text = Text("\n", no_wrap=True, overflow="ellipsis").join(events)
        return _panel(text, "events", "blue") if framed else text

    @property
    def _history(self) -> int:
        """How many seconds the curves show; fewer in a narrow terminal."""
        return _HISTORY if out.width >= _WIDE else _HISTORY // 2

    def _rows(self, devices: Table, device: Device) -> None:
        name = Text(device.id, style="bold" if device.online else "red")
        for signal, output in device.outputs.items():
            devices.add_row(name, signal, *self._output(output))
            name = Text("")
        for signal, reading in device.readings.items():
            devices.add_row(name, signal, *self._reading(reading))
            name = Text("")

    def _output(self, output: Output[Any]) -> _Cells:
        value, unit, curve = self._reading(output.readback)
        if isinstance(value, str) and output.readback.peek_sample().value:
            value = Text(value, "bold green")
        return value, unit, curve

    def _reading(self, reading: Reading[Any]) -> _Cells:
        """Return value, unit and curve; instead of a curve why the value is not GOOD."""
        sample = reading.peek_sample()
        if sample.quality is Quality.BAD:
            return Text("-", "red"), "", Text(sample.reason, "red")
        value, unit = _value(sample.value, reading.values.precision), reading.values.unit
        curve = self._curve(reading.label, sample.value)
        if sample.quality is Quality.UNCERTAIN:
            return Text(value, "yellow"), unit, Text(sample.reason, "yellow")
        return value, unit, curve

    def _curve(self, label: str, value: object) -> str:
        if not isinstance(value, int | float) or not math.isfinite(value):
            return ""
        curve = self._curves.setdefault(label, deque(maxlen=_HISTORY * _REFRESH_HZ))
        curve.append(float(value))
        points = list(curve)[::-_REFRESH_HZ][: self._history][::-1]
        low, high = min(points), max(points)
        scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
        return "".join(_BARS[round((point - low) * scale)] for point in points)


_Cells = tuple[str | Text, str, str | Text]
"""Value, unit, and the curve or the reason."""


def _panel(content: RenderableType, title: str, colour: str) -> Panel:
    return Panel(content, title=Text(title), title_align="left", border_style=colour)


def _value(value: object, precision: int | None) -> str:
    if isinstance(value, float):
        return f"{value:.{3 if precision is None else precision}f}"
    return show(value)


def _line(event: Event, longest: int | None = None) -> Text:
    return Text(describe(event, longest), style=_COLOURS[event.payload.severity])


def _said(value: object, longest: int | None) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text if longest is None or len(text) <= longest else text[: longest - 3] + "..."
