"""Shared subscriptions: consumers that get each event once together, on a real mosquitto."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from edgekernel.core.errors import InvalidValueError
from edgekernel.mqtt import Fleet
from edgekernel.mqtt.fleet import NodeEvent, Stream
from tests.brokers import Mosquitto, Watcher
from tests.mqtt.parts import settings

COUNT = 40


def numbers(stream: Stream[NodeEvent], enough: int) -> list[int]:
    """Take out so many events, and what comes in the moment after; return their numbers."""
    found = [stream.get(10) for _ in range(enough)]
    found += list(stream.during(0.2))
    return [each.fields["number"] for each in found if isinstance(each, NodeEvent)]


def publish(watcher: Watcher) -> None:
    """Publish events of a node."""
    for number in range(COUNT):
        watcher.publish("edge/n1/event/tick", {"name": "tick", "fields": {"number": number}})


def test_each_event_goes_to_one(broker: Mosquitto, watcher: Watcher) -> None:
    """Two consumers of one share get each event once together, half of them each, whatever else
    their fleets listen to; who is alone in another share gets all."""
    with ExitStack() as stack:
        fleets = [stack.enter_context(Fleet(settings(broker.port))) for _ in range(2)]
        shared = [stack.enter_context(fleet.events(share="archive")) for fleet in fleets]
        other = stack.enter_context(fleets[0].events("n1", name="tick", share="alarms"))
        all_of_it = stack.enter_context(fleets[0].events())
        publish(watcher)
        first, second = (numbers(stream, COUNT // 2) for stream in shared)
        assert sorted(first + second) == list(range(COUNT))
        assert len(first) == len(second)
        assert numbers(other, COUNT) == numbers(all_of_it, COUNT) == list(range(COUNT))


def test_who_remains_gets_the_rest(broker: Mosquitto, watcher: Watcher) -> None:
    """When a stream of a share is closed the others get everything; one that is left open ends
    with its fleet."""
    with Fleet(settings(broker.port)) as fleet:
        left = fleet.events(share="archive")
        with fleet.events(share="archive"):
            pass
        publish(watcher)
        assert numbers(left, COUNT) == list(range(COUNT))
    assert left.get(10) is None


@pytest.mark.parametrize("name", ["a/b", "+", "x#", "y" * 65])
def test_a_share_needs_a_name_that_a_filter_can_hold(broker: Mosquitto, name: str) -> None:
    """Anything else is refused before the broker sees it."""
    with Fleet(settings(broker.port)) as fleet, pytest.raises(InvalidValueError, match="share"):
        fleet.events(share=name)
