"""The live table of `watch`: the latest value of every signal, and the latest events."""

from __future__ import annotations

from collections import Counter, deque
from types import TracebackType
from typing import Any, Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edgekernel.cli.console import out, table
from edgekernel.cli.ctl.lines import Item, said
from edgekernel.cli.ctl.seeing import STATE_COLOURS, signal_cells
from edgekernel.core.messages import Severity
from edgekernel.mqtt.fleet import DeviceState, LinkState, NodeEvent, NodeStatus

_EVENTS = 8
_PER_SECOND = 4
_MOST_NODES = 30
"""Of more nodes it is counted how many are in which state."""
_LEAST_ROWS = 10
_AROUND = 8
"""Lines of headers and of the nodes."""
_NOT_KNOWN = "not known yet"
_QUALITIES = {"bad": "red", "uncertain": "yellow"}


def _colour(state: str) -> str:
    return STATE_COLOURS.get(state, "red")


class WatchTable:
    """Shows what it is given, on the terminal, until it is left."""

    def __init__(self, names: list[str]) -> None:
        """Prepare; `names` are the nodes that are expected, all if there are none."""
        self._status: dict[str, NodeStatus | None] = dict.fromkeys(names)
        self._states: dict[tuple[str, str], DeviceState] = {}
        self._events: deque[NodeEvent] = deque(maxlen=_EVENTS)
        self._link = LinkState(True)
        self._live = Live(
            console=out, refresh_per_second=_PER_SECOND, get_renderable=self.render, screen=False
        )

    def take(self, item: Item) -> None:
        """Show an item from now on."""
        if isinstance(item, NodeStatus):
            self._status[item.node] = item
        elif isinstance(item, DeviceState):
            if item.signals:
                self._states[item.node, item.device] = item
            else:
                self._states.pop((item.node, item.device), None)
        elif isinstance(item, NodeEvent):
            self._events.append(item)
        else:
            self._link = item

    def render(self) -> Group:
        """Return what is shown now."""
        parts: list[Any] = [self._nodes(), self._signals()]
        if self._events:
            parts.append(self._latest())
        if not self._link.up:
            text = f"the link is down, what is shown is old: {self._link.reason}"
            parts.append(Text(text, style="red"))
        return Group(*parts)

    def _nodes(self) -> Text:
        text = Text()
        if len(self._status) > _MOST_NODES:
            counts = Counter(each.state if each else _NOT_KNOWN for each in self._status.values())
            text.append(f"{len(self._status)} nodes: ")
            for state, count in sorted(counts.items()):
                text.append(f"{count} {state}  ", style=_colour(state))
            return text
        for name, status in sorted(self._status.items()):
            state = _NOT_KNOWN if status is None else status.state
            text.append(f"{name} ").append(f"{state}  ", style=_colour(state))
        return text

    def _signals(self) -> Table:
        listing = table("", "node", "device", "signal", "value", "", "quality", "time")
        room = max(_LEAST_ROWS, out.height - _EVENTS - _AROUND)
        for number, ((node, device), state) in enumerate(sorted(self._states.items())):
            if listing.row_count >= room:
                more = len(self._states) - number
                listing.caption = f"and {more} more devices: name some NODEs, or give --where"
                break
            for name, signal in state.signals.items():
                value, unit, quality, time = signal_cells(signal)
                style = _QUALITIES.get(signal.quality, "")
                listing.add_row(node, device, name, value, unit, Text(quality, style), time)
                node = device = ""
        return listing

    def _latest(self) -> Table:
        listing = table("", "time", "node", "event")
        for event in self._events:
            time = f"{event.time:%H:%M:%S}" if event.time else ""
            style = "" if event.severity <= Severity.INFO else "red"
            listing.add_row(time, event.node, Text(said(event), style))
        return listing

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)
