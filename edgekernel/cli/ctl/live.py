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
_SHARE_OF_EVENTS = 3
"""On a small terminal events have one line of so many."""
_PER_SECOND = 4
_MOST_NODES = 30
"""Of more nodes it is counted how many are in which state."""
_LEAST_ROWS = 3
_NOT_KNOWN = "not known yet"
_QUALITIES = {"bad": "red", "uncertain": "yellow"}


def _colour(state: str) -> str:
    return STATE_COLOURS.get(state, "red")


def _in_one_line(text: str, style: str = "") -> Text:
    return Text(text.replace("\n", " "), style, no_wrap=True, overflow="ellipsis")


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
        """Return what is shown now: no more lines than the terminal has, if it has ten."""
        nodes, link = self._nodes(), self._broken_link()
        used = sum(len(out.render_lines(each)) for each in (nodes, link) if each)
        room = out.height - used - 1  # for the cursor
        events = min(len(self._events), max(1, room // _SHARE_OF_EVENTS))
        room -= events + 1 if events else 0
        parts: list[Any] = [nodes, *self._signals(max(_LEAST_ROWS, room - 1))]
        parts += [self._latest(events)] if events else []
        parts += [link] if link else []
        return Group(*parts)

    def _broken_link(self) -> Text:
        if self._link.up:
            return Text()
        text = f"the link is down, what is shown is old: {self._link.reason}"
        return Text(text, style="red")

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

    def _signals(self, room: int) -> list[Table | Text]:
        """Return the table, and in a line how many signals have no room in it."""
        listing = table("", "node", "device", "signal", "value", "", "quality", "time")
        shown: list[Table | Text] = [listing]
        rows = [
            (state, name, signal)
            for _, state in sorted(self._states.items())
            for name, signal in state.signals.items()
        ]
        if len(rows) > room:
            more = len(rows) - room + 1
            text = f"and {more} more signals: name some NODEs, or give --where"
            shown.append(_in_one_line(text, "dim"))
            del rows[-more:]
        before: DeviceState | None = None
        for state, name, signal in rows:
            device = ("", "") if state is before else (state.node, state.device)
            value, unit, quality, time = signal_cells(signal)
            judged = _in_one_line(quality, _QUALITIES.get(signal.quality, ""))
            cells = (_in_one_line(each) for each in (*device, name, value, unit))
            listing.add_row(*cells, judged, time)
            before = state
        return shown

    def _latest(self, count: int) -> Table:
        listing = table("", "time", "node", "event")
        for event in list(self._events)[-count:]:
            time = f"{event.time:%H:%M:%S}" if event.time else ""
            style = "" if event.severity <= Severity.INFO else "red"
            node = _in_one_line(event.node)
            listing.add_row(time, node, _in_one_line(said(event), style))
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
