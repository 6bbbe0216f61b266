"""Names of entities."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from edgekernel.mqtt.home_assistant.entity import Kind, key, title

OWNERS = st.from_regex(r"[a-z0-9]{1,6}(-[a-z0-9]{1,6}){0,2}", fullmatch=True)
KINDS = st.sampled_from(["state", "set", "call", "event", "node"])
NAMES = st.text(min_size=1, max_size=12)
Thing = tuple[str, Kind, str]


@given(st.tuples(OWNERS, KINDS, NAMES))
def test_a_key_has_only_what_home_assistant_takes(thing: Thing) -> None:
    """Letters, digits, "_" and "-", whatever the name."""
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", key(*thing))


@given(st.tuples(OWNERS, KINDS, NAMES), st.tuples(OWNERS, KINDS, NAMES))
def test_no_two_things_have_one_key(one: Thing, other: Thing) -> None:
    """Two keys are the same only if all of it is; segments differ, as `names` sees to it."""
    assert (key(*one) == key(*other)) is (one == other)


def test_titles() -> None:
    """Words, with one capital."""
    assert title("room-2", "air_pressure") == "Room 2 air pressure"
    assert title("heater") == "Heater"
    assert title("button.pressed") == "Button pressed"
