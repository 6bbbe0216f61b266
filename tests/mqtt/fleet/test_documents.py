"""What nodes publish, read into results."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Severity
from edgekernel.mqtt.fleet import NodeSchema
from edgekernel.mqtt.fleet.documents import (
    read_document,
    read_event,
    read_health,
    read_info,
    read_state,
    read_status,
)

KEYS = st.sampled_from(
    [
        "state",
        "since",
        "labels",
        "severity",
        "seq",
        "services",
        "uptime_s",
        "queues",
        "s",
        "online",
        "parts",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, ANYTHING))
def test_whatever_somebody_has_written(document: dict[str, object]) -> None:
    """What is of another form than ours is left out, and never an error."""
    assert read_status("n1", document).node == "n1"
    assert read_info("n1", document).node == "n1"
    assert read_state("n1", "lamp", document).device == "lamp"
    assert read_event("n1", "tick", document).node == "n1"
    assert read_health("n1", document).node == "n1"


@given(st.binary())
def test_whatever_bytes_come(payload: bytes) -> None:
    """Only a JSON object is a document."""
    found = read_document(payload)
    assert found is None or isinstance(found, dict)


@given(ANYTHING)
def test_whatever_a_schema_is(document: object) -> None:
    """A schema that is none has no outputs and no commands."""
    whole = {"devices": document, "commands": document}
    schema = NodeSchema("n1", whole)
    assert isinstance(schema.outputs, list)
    assert isinstance(schema.commands, list)


def test_what_a_node_says() -> None:
    """Times, severities and signals have their types."""
    status = read_status("n1", {"state": "online", "since": "2026-01-31T12:00:00.000Z"})
    assert status.since == datetime(2026, 1, 31, 12, tzinfo=UTC)
    parts = {"room": "no answer", "odd": 3}
    assert read_status("n1", {"state": "degraded", "parts": parts}).parts == {"room": "no answer"}
    event = read_event("n1", "too-hot", {"name": "too.hot", "severity": "warning", "seq": 3})
    assert (event.name, event.severity, event.seq) == ("too.hot", Severity.WARNING, 3)
    state = read_state("n1", "lamp", {"online": True, "power": {"value": True, "setpoint": False}})
    assert (state.online, state.signals["power"].value) == (True, True)
    assert state.signals["power"].setpoint is False


def test_the_computer_of_a_health() -> None:
    """Figures of the computer are typed; what is null, of another type or not there is None."""
    told = {
        "disk_read_only": True,
        "flash_used_percent": 30,
        "memory_available_bytes": 512,
        "memory_available_percent": 12,
        "cpu_throttled": None,
        "under_voltage": "no",
    }
    found = read_health("n1", told)
    assert found.disk_read_only is True
    assert found.flash_used_percent == 30
    assert (found.memory_available_bytes, found.memory_available_percent) == (512, 12.0)
    assert (found.cpu_throttled, found.under_voltage, found.load_1min) == (None, None, None)
