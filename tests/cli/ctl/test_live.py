"""The live table of `watch`."""

from __future__ import annotations

from rich.console import Console

from edgekernel import Severity
from edgekernel.cli.ctl.live import WatchTable
from edgekernel.mqtt.fleet import DeviceState, LinkState, NodeEvent, NodeStatus, SignalState


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
    assert "more devices: name some NODEs" in text
    assert text.count("room") < 100
