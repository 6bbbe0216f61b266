"""What arrives, taken apart by who wants it."""

from __future__ import annotations

import threading

import pytest

from edgekernel import SystemClock
from edgekernel.mqtt.fleet.listening import Arrival, LinkChange, Listener
from tests.brokers import LIMIT_S


def listener(*filters: str, room: int = 3) -> Listener:
    """Return a listener with little room."""
    return Listener(SystemClock(), filters, room)


def topics(of: Listener) -> list[str]:
    """Take out everything; return the topics."""
    found = []
    while isinstance(arrival := of.get(0), Arrival):
        found.append(arrival.topic)
    return found


@pytest.mark.parametrize(
    ("filter", "topic", "fits"),
    [
        ("+/status", "n1/status", True),
        ("+/status", "n1/state/lamp", False),
        ("n1/state/+", "n1/state/lamp", True),
        ("n1/state/+", "n2/state/lamp", False),
        ("n1/state/+", "n1/state", False),
        ("n1/schema", "n1/schema", True),
        ("n1/#", "n1/state/lamp", True),
        ("n1/#", "n1", True),
        ("n1/#", "n2/state/lamp", False),
        ("+/state/#", "n1/state/lamp/power", True),
        ("+/state/#", "n1/status", False),
    ],
)
def test_only_what_is_wanted(filter: str, topic: str, fits: bool) -> None:
    """A filter matches level by level."""
    wants = listener(filter)
    wants.offer(Arrival(topic, b"", False))
    assert topics(wants) == [topic] * fits


def test_the_oldest_goes_first() -> None:
    """Where there is no more room the oldest is dropped, and counted."""
    wants = listener("+")
    for number in range(5):
        wants.offer(Arrival(str(number), b"", False))
    assert wants.dropped == 2
    assert topics(wants) == ["2", "3", "4"]


def test_who_waits_is_let_go() -> None:
    """Closing wakes who waits; what had come before can still be taken out."""
    wants = listener("+")
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(wants.get(None)))
    thread.start()
    wants.close()
    thread.join(LIMIT_S)
    assert got == [None]
    wants.put(LinkChange(False, "gone"))
    assert wants.get(None) == LinkChange(False, "gone")
    assert wants.get(None) is None
