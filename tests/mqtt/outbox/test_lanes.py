"""Lanes: live first, in order within a topic, and never more than there is room for."""

from __future__ import annotations

from edgekernel.mqtt.outbox.boots import Boot
from edgekernel.mqtt.outbox.item import Item, Stage
from edgekernel.mqtt.outbox.keeping import ALL, Keeping
from edgekernel.mqtt.outbox.lanes import RESERVED, WINDOW, Lanes

BOOT = Boot("boot", "machine")


def item(position: int, topic: str = "t", *, stored: bool = False) -> Item:
    """Return a message."""
    return Item(
        position=position,
        topic=topic,
        payload=b"{}",
        qos=1,
        retain=False,
        stamped=True,
        keeping=Keeping(ALL),
        boot=BOOT,
        number=position,
        monotonic_ns=0,
        time_ns=None,
        lifetime_ns=None,
        stored=stored,
    )


def working() -> Lanes:
    """Return lanes with a link and a file that is known."""
    lanes = Lanes(rows=30, size=100_000)
    lanes.up = lanes.ready = True
    return lanes


def test_live_until_something_waits() -> None:
    """A topic is live while nothing of it waits, and again when the last of it was taken."""
    lanes = working()
    lanes.fall_behind(waiting := item(1, stored=True))
    for position, topic in [(2, "t"), (3, "other")]:
        lanes.enter(item(position, topic))
    assert list(lanes.live) == [3]
    assert lanes.behind == {"t": 2}
    second = item(2, stored=True)
    lanes.add_page([waiting, second], 2)
    assert lanes.next_live() is not None
    for expected in (waiting, second):
        assert lanes.next_behind() is expected
        assert lanes.take_behind() is expected
    lanes.enter(item(4))
    assert list(lanes.live) == [4]
    assert not lanes.behind


def test_no_room_for_more_live() -> None:
    """What is more than memory has room for is behind."""
    lanes = working()
    for position in range(1, 41):
        lanes.enter(item(position))
    assert len(lanes.live) == 30
    assert lanes.behind == {"t": 10}


def test_windows() -> None:
    """What is behind leaves some places of the window to what is live."""
    lanes = working()
    page = [item(position, "old", stored=True) for position in range(1, 50)]
    for each in page:
        lanes.fall_behind(each)
    lanes.add_page(page, 49)
    while lanes.next_behind():
        lanes.take_behind()
    assert len(lanes.flight) == WINDOW - RESERVED
    for position in range(50, 70):
        lanes.enter(item(position, "new"))
    while lanes.next_live():
        pass
    assert len(lanes.flight) == WINDOW
    for each in list(lanes.flight.values()):
        lanes.leave(each)
    assert lanes.next_behind() is not None


def test_put_back() -> None:
    """What the link did not take is the next one again, in its lane."""
    lanes = working()
    for position in (1, 2):
        lanes.enter(item(position))
    taken = lanes.next_live()
    assert taken is not None
    lanes.put_back(taken)
    assert lanes.next_live() is taken
    behind = item(0, "old", stored=True)
    lanes.fall_behind(behind)
    lanes.add_page([behind], 0)
    assert lanes.next_behind() is behind
    lanes.put_back(lanes.take_behind())
    assert lanes.next_behind() is behind
    assert lanes.behind == {"old": 1}


def test_down() -> None:
    """Without a link everything live waits; with one that forgets, so does what was on its way."""
    lanes = working()
    for position in range(1, 4):
        lanes.enter(item(position))
    taken = lanes.next_live()
    assert taken is not None
    assert [each.position for each in lanes.down(forgets=False)] == [2, 3]
    assert lanes.next_live() is None
    lanes.up = True
    lanes.down(forgets=True)
    assert taken.stage is Stage.BEHIND
    assert lanes.behind == {"t": 3}
    assert not lanes.flight


def test_fed_from_memory() -> None:
    """What cannot be written is fed in order, each once, until the file is read anew."""
    lanes = working()
    items = [item(position) for position in range(1, 31)]
    for each in items:
        lanes.fall_behind(each)
    assert lanes.feed(items)
    assert lanes.feed(items)
    assert not lanes.feed(items)
    assert lanes.fed
    sent = []
    while lanes.next_behind():
        sent.append(lanes.take_behind().position)
        lanes.leave(lanes.flight[sent[-1]])
    assert sent == list(range(1, 31))
    lanes.reread()
    assert not lanes.fed
