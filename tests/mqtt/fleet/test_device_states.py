"""Devices put together from their topics, whoever has written them, in any order."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.mqtt.fleet.device_states import DeviceStates, whole_states
from edgekernel.mqtt.fleet.results import DeviceState, SignalState

PLAIN = {
    "n1/state/lamp": b"online",
    "n1/state/lamp/power": b"ON",
    "n1/quality/lamp/power": b"uncertain: old",
}
SCHEMA: dict[str, Any] = {
    "devices": {
        "lamp": {
            "readings": {
                "on_time": {"type": "float", "unit": "h"},
                "label": {"type": "str"},
            },
            "outputs": {"power": {"type": "bool"}},
        }
    }
}
TOPICS = st.sampled_from(
    ["n1/state/a", "n1/state/a/b", "n1/quality/a/b", "n1/state/a/c", "n2/state/a/b"]
)
WRITTEN = rb"""online offline ON 21.5 [] unavailable {"online":true} {"value":1,"quality":"good"}
{"online":true,"x":{"value":1}} NaN bad:x good"""
PAYLOADS = st.binary() | st.sampled_from(WRITTEN.split())


@pytest.mark.parametrize("order", list(permutations(PLAIN)))
def test_the_order_of_topics_does_not_matter(order: tuple[str, ...]) -> None:
    """When all has come the device is whole; before its form is known there is none."""
    states = DeviceStates()
    found = [states.take(topic, PLAIN[topic]) for topic in order]
    whole = SignalState(True, quality="uncertain", reason="old")
    assert found[-1] == DeviceState("n1", "lamp", True, {"power": whole})
    assert found[: order.index("n1/state/lamp")] == [None] * order.index("n1/state/lamp")


@given(st.lists(st.tuples(TOPICS, PAYLOADS)))
def test_whatever_somebody_has_written(told: list[tuple[str, bytes]]) -> None:
    """Nothing raises, and a value without its quality is never good."""
    states = DeviceStates()
    for topic, payload in told:
        state = states.take(topic, payload)
        assert state is None or (state.node, state.device) == (topic[:2], "a")


def test_a_schema_says_what_topics_do_not() -> None:
    """Names, units and types are those of the node, also of texts that look like something else."""
    told = {
        "n1/state/lamp": b"offline",
        "n1/state/lamp/on-time": b"3",
        "n1/quality/lamp/on-time": b"good",
        "n1/state/lamp/label": b"ON",
        "n1/quality/lamp/label": b"good",
        "n1/state/lamp/odd": b"12",
    }
    state = whole_states(told, SCHEMA)["lamp"]
    assert not state.online
    assert state.signals["on_time"] == SignalState(3.0, "h", "good")
    assert isinstance(state.signals["on_time"].value, float)
    assert state.signals["label"].value == "ON"
    assert state.signals["odd"] == SignalState(12)


@pytest.mark.parametrize("told", [b"", b"bad: frozen"])
def test_what_is_unavailable_has_no_value(told: bytes) -> None:
    """Whether its quality has come or not, it is bad; an old value beside bad is not shown."""
    for value in (b"unavailable", b"21.5"):
        states = DeviceStates()
        states.take("n1/state/lamp", b"online")
        states.take("n1/quality/lamp/level", told)
        state = states.take("n1/state/lamp/level", value)
        assert state is not None
        signal = state.signals["level"]
        assert signal.quality != "good"
        assert (signal.value is None) == (value == b"unavailable" or bool(told))


def test_a_device_that_goes() -> None:
    """Its topic is cleared: it has no signals, and comes back with those of then."""
    states = DeviceStates()
    for topic, payload in PLAIN.items():
        states.take(topic, payload)
    assert states.take("n1/state/lamp", b"") == DeviceState("n1", "lamp", False)
    assert states.take("n1/state/lamp", b"online") == DeviceState("n1", "lamp", True)
