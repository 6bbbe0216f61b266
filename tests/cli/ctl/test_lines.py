"""What happens, as lines."""

from __future__ import annotations

from datetime import UTC, datetime

from edgekernel import Severity
from edgekernel.cli.ctl.lines import as_line, as_row
from edgekernel.mqtt.fleet import DeviceState, LinkState, NodeEvent, NodeStatus, SignalState

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
STATUS = NodeStatus("n1", "online", NOON, "started", "b1")
STATE = DeviceState("n1", "lamp", True, {"power": SignalState(True, quality="good", time=NOON)})
EVENT = NodeEvent("n1", "too.hot", Severity.WARNING, NOON, fields={"celsius": 99})


def test_for_people() -> None:
    """One line each, with the node where there are several."""
    assert as_line(STATUS, False) == "status  online since 2026-01-31 12:00:00 (started)"
    assert as_line(STATE, False) == "state   lamp           power=on"
    assert as_line(EVENT, False) == "event   too.hot        WARNING  celsius=99"
    assert as_line(DeviceState("n1", "lamp", False), False).endswith("is gone")
    assert as_line(STATUS, True).startswith("n1               status")


def test_as_json() -> None:
    """Each has its kind, and times as nodes write them."""
    status = {"state": "online", "since": "2026-01-31T12:00:00.000Z", "cause": "started"}
    assert as_row(STATUS) == {"kind": "status", "node": "n1", "boot": "b1", "parts": {}, **status}
    power = {"value": True, "quality": "good", "time": "2026-01-31T12:00:00.000Z"}
    state = {"kind": "state", "node": "n1", "device": "lamp", "online": True, "power": power}
    assert as_row(STATE) == state
    row = as_row(EVENT)
    assert (row["kind"], row["severity"], row["fields"]) == ("event", "warning", {"celsius": 99})
    assert as_row(LinkState(False, "gone")) == {"kind": "link", "up": False, "reason": "gone"}
