"""The live table of `watch`."""

from __future__ import annotations

import pytest
from rich.console import Console, ConsoleDimensions

from edgekernel import Severity
from edgekernel.cli.console import out
from edgekernel.cli.ctl.live import WatchTable
from edgekernel.mqtt.fleet import DeviceState, LinkState, NodeEvent, NodeStatus, SignalState


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the terminal have 120 columns and 40 lines."""
    monkeypatch.setattr(out, "size", ConsoleDimensions(120, 40))


def shown(table: WatchTable) -> str:
    """Return what is on the screen."""
    console = Console(width=120, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(table.render())
    return capture.get()


def state(value: float, quality: str = "good", reason: str = "") -> DeviceState:
    """Return the state of a thermometer."""
    return DeviceState(
        "n1", "room", True, {"temperature": SignalState(value, "°C", quality, reason)}
    )


def test_the_latest_of_everything() -> None:
    """Of each signal the latest value is there, of events the latest eight, of nodes the state."""
    table = WatchTable(["n1", "n2"])
    assert "n1 not known yet" in shown(table)
    table.take(NodeStatus("n1", "online"))
    table.take(state(20.5))
    table.take(state(21.5, "bad", "stale"))
    for number in range(12):
        table.take(NodeEvent("n1", "tick", Severity.INFO, fields={"number": number}))
    text = shown(table)
    assert "n1 online" in text
    assert "21.5" in text
    assert "20.5" not in text
    assert "bad: stale" in text
    assert "number=11" in text
    assert "number=3 " not in text


def test_what_is_gone_is_not_shown() -> None:
    """A device that was taken out of its node has no row any more."""
    table = WatchTable([])
    table.take(state(20.5))
    table.take(DeviceState("n1", "room", False))
    assert "room" not in shown(table)


def test_a_lost_link_is_shown() -> None:
    """What is old is said to be old."""
    table = WatchTable([])
    table.take(LinkState(False, "keep alive timeout"))
    assert "what is shown is old: keep alive timeout" in shown(table)
    table.take(LinkState(True))
    assert "old" not in shown(table)


def test_a_large_fleet_fits_on_the_screen() -> None:
    """Of a thousand nodes the states are counted, and no more signals are drawn than there is room
    for: a table of all of them would take a second to draw, four times a second."""
    table = WatchTable([])
    for number in range(1000):
        name = f"n{number:04d}"
        table.take(NodeStatus(name, "online" if number % 10 else "offline"))
        table.take(DeviceState(name, "room", True, {"t": SignalState(1.0, "°C", "good", "")}))
    text = shown(table)
    assert "1000 nodes: 100 offline  900 online" in text
    assert "n0000" in text
    assert "more signals: name some NODEs" in text
    assert text.count("room") < 100


@pytest.mark.parametrize("lines", [12, 24, 40])
@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_on_a_small_terminal(
    lines: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has no room is counted, instead of being cut off at the lower end with the events."""
    monkeypatch.setattr(out, "size", ConsoleDimensions(columns, lines))
    table = WatchTable([])
    table.take(NodeStatus("n1", "online"))
    table.take(LinkState(False, "keep alive timeout"))
    reason = "offline: OSError: [Errno 121] Remote I/O error, and once more at every poll since"
    for number in range(50):
        signals = {"t": SignalState(1.0, "°C", "bad", reason), "u": SignalState(2.0, "V", "good")}
        table.take(DeviceState("n1", f"d{number:02d}", True, signals))
        fields = {"number": number, "text": "long " * 40}
        table.take(NodeEvent("n1", "tick", Severity.INFO, fields=fields))
    console = Console(width=columns, height=lines)
    with console.capture() as capture:
        console.print(table.render())
    text = capture.get()
    assert len(text.splitlines()) < lines
    assert "number=49" in text
    assert "the link is down" in text
    rows = text.count("1.0    °C") + text.count("2.0    V")
    assert f"and {100 - rows} more signals" in text
