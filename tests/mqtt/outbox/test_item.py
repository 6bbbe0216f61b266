"""Items: stamps and ages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.mqtt.outbox.boots import Boot
from edgekernel.mqtt.outbox.item import Aged, Ages, Item, can_be_stamped
from edgekernel.mqtt.outbox.keeping import ALL, Keeping

SECOND = 1_000_000_000
NEW_YEAR_NS = 1_767_225_600 * SECOND


def item(payload: bytes, boot: Boot, *, time_ns: int | None = None, stamped: bool = True) -> Item:
    """Return a message that came 1.5 s after its boot."""
    return Item(
        position=7,
        topic="t",
        payload=payload,
        qos=1,
        retain=False,
        stamped=stamped,
        keeping=Keeping(ALL),
        boot=boot,
        number=3,
        monotonic_ns=3 * SECOND // 2,
        time_ns=time_ns,
        lifetime_ns=None,
    )


FIELDS = st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.booleans()))


@given(FIELDS, st.booleans())
def test_stamped(fields: dict[str, object], spaced: bool) -> None:
    """The stamp comes before the message's own fields, and it stays one JSON object."""
    payload = json.dumps(fields, indent=2 if spaced else None).encode()
    assert can_be_stamped(payload)
    sent = json.loads(item(payload, Boot("b", "m"), time_ns=NEW_YEAR_NS).as_sent())
    stamp = {"id": "b-3", "boot": "b", "monotonic": 1.5, "time": "2026-01-01T00:00:00.000Z"}
    assert sent == stamp | fields


def test_time_unknown() -> None:
    """A time that is not known is null, and it says why."""
    sent = json.loads(item(b"{}", Boot("b", "m")).as_sent())
    assert sent["time"] is None
    assert sent["time_quality"] == "unsynchronised"
    assert "backfilled" not in sent


def test_time_known_later() -> None:
    """A time that became known later is computed from the monotonic time, and marked."""
    sent = json.loads(item(b"{}", Boot("b", "m", offset_ns=NEW_YEAR_NS)).as_sent())
    assert sent["time"] == "2026-01-01T00:00:01.500Z"
    assert sent["backfilled"] is True
    assert "time_quality" not in sent


def test_not_stamped() -> None:
    """Without a stamp the payload goes as it is."""
    assert item(b"\x00on", Boot("b", "m"), stamped=False).as_sent() == b"\x00on"


@pytest.mark.parametrize("payload", [b"", b"{", b"[1]", b"21.5", b' {"a":1}'])
def test_no_object(payload: bytes) -> None:
    """What is no JSON object, from its first byte to its last, cannot be stamped."""
    assert not can_be_stamped(payload)


def test_ages() -> None:
    """An age is known by the monotonic time of the same start of the computer, else by the wall
    time if both are known; else it is the time since this start, which is less than it is."""
    now = Boot("now", "machine", offset_ns=NEW_YEAR_NS)
    ages = Ages(now, began_ns=100 * SECOND)
    at_ns = 130 * SECOND

    def age(boot: Boot, monotonic_s: int, time_ns: int | None) -> float:
        return ages.of(Aged(boot, monotonic_s * SECOND, time_ns), at_ns) / SECOND

    assert age(now, 120, None) == 10
    assert age(Boot("before", "machine"), 30, None) == 100
    assert age(Boot("other", "another"), 9999, NEW_YEAR_NS) == 130
    assert age(Boot("other", "another", offset_ns=NEW_YEAR_NS), 60, None) == 70
    assert age(Boot("other", "another"), 9999, None) == 30
    now.offset_ns = None
    assert age(Boot("other", "another"), 9999, NEW_YEAR_NS) == 30
