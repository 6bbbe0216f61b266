"""The schema of a node: enough for a client to build itself from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import Field

from edgekernel import Device, Message, Process, Runtime, Severity, command, expose, output, reading
from edgekernel.core.masking import Secret
from edgekernel.core.output_limits import Limits
from edgekernel.node.schema import describe_node


class FilterClogged(Message):
    """The filter is to be cleaned.

    It is told once.
    """

    severity = Severity.WARNING
    device: str
    share: float


class Stuck(Message):
    """A pump turns no more."""

    device: str


class Odd:
    """Something that no JSON can carry."""


class Pump(Device):
    """A pump with a flow meter.

    The second paragraph is for the manual.
    """

    total = reading(float, unit="L", counts_up=True)
    flow = reading(float, unit="L/min", range=(0, 30), precision=1, device_class="volume_flow_rate")
    speed = output(float, safe=0.0, unit="%", range=(0, 100), limits=Limits(lease_s=30.0))
    valve = output(bool, safe=None)

    @speed.drive
    def _drive(self, share: float) -> float:
        return share

    @valve.drive
    def _open(self, open_: bool) -> bool:
        return open_


@expose("mqtt", exclude=["secretly"])
class Plant(Process):
    """Has commands of every kind."""

    name = "plant"

    @command(role="operator", destructive=True, timeout_s=5)
    def boost(self, minutes: Annotated[int, Field(ge=1, le=60)] = 10) -> dict[str, float]:
        """Pump more for a while.

        Not shown.
        """
        return {"minutes": minutes}

    @command
    def unlock(self, password: Secret) -> None:
        """Let the operator in."""

    @command
    def take(self, odd: Odd) -> Any:
        """Take something that only a program can give."""

    @command
    def secretly(self) -> None:
        """Not for MQTT."""


@pytest.fixture
def described() -> Iterator[dict[str, Any]]:
    """Return the schema of a runtime with both."""
    runtime = Runtime(name="works")
    runtime.attach_device(Pump("pump"))
    runtime.register_process(Plant())
    with runtime:
        yield describe_node(runtime)


def test_a_reading_says_what_it_measures(described: dict[str, Any]) -> None:
    """Type, unit, range, decimals and device class; what does not apply is left out."""
    pump = described["devices"]["pump"]
    assert pump["description"] == "A pump with a flow meter."
    assert pump["readings"]["flow"] == {
        "type": "float", "unit": "L/min", "range": [0, 30], "precision": 1,
        "device_class": "volume_flow_rate",
    }  # fmt: skip


def test_a_meter_says_that_it_counts_up(described: dict[str, Any]) -> None:
    """So that a client makes no mean of it."""
    readings = described["devices"]["pump"]["readings"]
    assert readings["total"] == {"type": "float", "unit": "L", "counts_up": True}


def test_a_device_says_what_it_tells(described: dict[str, Any]) -> None:
    """The messages of its driver's module that name a device, here also one of the application."""
    assert described["devices"]["pump"]["messages"] == ["filter.clogged", "stuck"]


def test_an_output_says_its_safe_value_and_limits(described: dict[str, Any]) -> None:
    """Safe is always there, `None` where there is none; of the limits only those that were set."""
    outputs = described["devices"]["pump"]["outputs"]
    assert outputs["speed"]["safe"] == 0.0
    assert outputs["speed"]["limits"] == {"lease_s": 30.0}
    assert outputs["valve"] == {"type": "bool", "safe": None}


def test_a_command_has_the_schema_of_its_arguments(described: dict[str, Any]) -> None:
    """Limits, defaults, role and result are there; the result is described too."""
    boost = described["commands"]["plant"]["boost"]
    assert boost["description"] == "Pump more for a while."
    assert boost["arguments"]["properties"]["minutes"] == {
        "type": "integer", "minimum": 1, "maximum": 60, "default": 10,
    }  # fmt: skip
    assert "required" not in boost["arguments"]
    assert boost["result"] == {"type": "object", "additionalProperties": {"type": "number"}}
    assert (boost["role"], boost["destructive"], boost["timeout_s"]) == ("operator", True, 5)


def test_a_secret_is_marked(described: dict[str, Any]) -> None:
    """So that a client does not show what is typed in."""
    unlock = described["commands"]["plant"]["unlock"]
    assert unlock["secret"] == ["password"]
    assert unlock["result"] == {"type": "null"}


def test_what_no_json_can_carry_is_left_open(described: dict[str, Any]) -> None:
    """The argument is named, with a schema that says nothing."""
    take = described["commands"]["plant"]["take"]["arguments"]
    assert take["properties"] == {"odd": {}}
    assert take["required"] == ["odd"]


def test_what_mqtt_may_not_call_is_not_shown(described: dict[str, Any]) -> None:
    """A command that is not exposed there is not in the schema."""
    assert set(described["commands"]["plant"]) == {"boost", "unlock", "take"}


def test_messages_of_applications(described: dict[str, Any]) -> None:
    """Each with severity and fields; those of the runtime are the same everywhere and left out."""
    clogged = described["messages"]["filter.clogged"]
    assert clogged["severity"] == "warning"
    assert clogged["description"] == "The filter is to be cleaned."
    assert clogged["fields"]["properties"] == {
        "device": {"type": "string"}, "share": {"type": "number"},
    }  # fmt: skip
    assert "device.attached" not in described["messages"]


def test_it_is_json(described: dict[str, Any]) -> None:
    """It survives being written and read, unchanged."""
    assert json.loads(json.dumps(described, allow_nan=False)) == described
