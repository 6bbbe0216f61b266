"""Unwritten: bounded, in order, and rid of what needs no disk any more."""

from __future__ import annotations

from edgekernel.mqtt.outbox.boots import Boot
from edgekernel.mqtt.outbox.item import Item, Stage
from edgekernel.mqtt.outbox.keeping import Keeping
from edgekernel.mqtt.outbox.unwritten import Unwritten

BOOT = Boot("boot", "machine")


def item(position: int, *, topic: str = "t", size: int = 19, keep: int = 3) -> Item:
    """Return a message that counts for 81 bytes more than its payload has."""
    return Item(
        position=position,
        topic=topic,
        payload=bytes(size),
        qos=1,
        retain=False,
        stamped=False,
        keeping=Keeping(keep, "ring"),
        boot=BOOT,
        number=position,
        monotonic_ns=0,
        time_ns=None,
        lifetime_ns=None,
    )


def test_surplus() -> None:
    """When there is no room the oldest goes, but for what is with the link; or the newest does."""
    oldest, newest = Unwritten(3, 1000, "drop-oldest"), Unwritten(3, 1000, "drop-newest")
    items = [item(number) for number in range(3)]
    for queue in (oldest, newest):
        assert queue.surplus(items[0]) is None
        for each in items:
            queue.add(each)
    another = item(3)
    assert oldest.surplus(another) is items[0]
    assert newest.surplus(another) is another
    items[0].stage = items[1].stage = Stage.FLIGHT
    assert oldest.surplus(another) is items[2]
    items[2].stage = Stage.FLIGHT
    assert oldest.surplus(another) is another


def test_bytes_count_too() -> None:
    """A message that is too large on its own does not drive out the others."""
    queue = Unwritten(100, 1000, "drop-oldest")
    first = item(0, size=519)
    queue.add(first)
    assert queue.half_full
    assert queue.surplus(item(1, size=319)) is None
    assert queue.surplus(item(1, size=320)) is first
    too_large = item(1, size=920)
    assert queue.surplus(too_large) is too_large


def test_done_before_it_was_written() -> None:
    """What is done leaves the queue, and the oldest is the next one that is not."""
    queue = Unwritten(10, 10_000, "drop-oldest")
    items = [item(number) for number in range(4)]
    for each in items:
        queue.add(each)
    for number in (1, 0):
        items[number].stage = Stage.DONE
        queue.done(items[number])
    assert queue.oldest is items[2]
    assert list(queue) == items[2:]
    assert (queue.rows, queue.size) == (2, 200)
    queue.written(items[2:3])
    assert list(queue) == items[3:]


def test_too_many() -> None:
    """Of each topic the newest are kept, as many as its rule says; what is on its way is not
    counted."""
    queue = Unwritten(10, 10_000, "drop-oldest")
    items = [item(number, topic=topic, keep=2) for number, topic in enumerate("aababaa")]
    for each in items:
        queue.add(each)
    items[0].stage = Stage.FLIGHT
    assert [each.position for each in queue.too_many()] == [3, 1]
