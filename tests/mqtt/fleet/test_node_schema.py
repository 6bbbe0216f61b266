"""What a node can be asked for, as it has published it."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel.core.errors import InvalidValueError, UnknownTargetError
from edgekernel.mqtt.fleet import LeaseSchema, NodeSchema, SignatureSchema, Text
from edgekernel.mqtt.fleet.node_schema import request_topic

ARGUMENTS = {
    "type": "object",
    "properties": {"celsius": {"type": "number", "maximum": 40}, "note": {"type": "string"}},
    "required": ["celsius"],
    "additionalProperties": False,
}
SCHEMA = NodeSchema(
    "n1",
    {
        "devices": {
            "lamp": {
                "outputs": {
                    "power": {"type": "bool", "role": "operator"},
                    "dim_level": {"type": "int"},
                },
                "readings": {"light": {"type": "float"}},
            },
            "sign": {"outputs": {"text": {"type": "str"}, "odd": {"type": "matrix"}}},
        },
        "commands": {"climate": {"set_target": {"arguments": ARGUMENTS}}},
    },
)


@pytest.mark.parametrize(
    ("output", "value", "becomes"),
    [
        ("lamp/power", Text("on"), True),
        ("lamp.power", False, False),
        ("lamp/dim-level", Text("5"), 5),
        ("sign/text", Text("5"), "5"),
        ("sign/odd", Text("[1]"), [1]),
        ("sign/odd", {"a": 1}, {"a": 1}),
    ],
)
def test_values_become_what_the_output_takes(output: str, value: Any, becomes: object) -> None:
    """By the type of the output; of a type that is not known here the node is the judge."""
    found = SCHEMA.output(output).check(value)
    assert (type(found), found) == (type(becomes), becomes)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("lamp/powr", "n1 has no output 'lamp/powr'; did you mean 'lamp/power'?"),
        ("lamp/light", "n1: lamp/light is a reading: it cannot be set"),
        ("lamp/" + "x" * 70, "does not fit into an MQTT topic"),
    ],
)
def test_outputs_that_are_not_there(output: str, said: str) -> None:
    """The nearest is told, never taken."""
    with pytest.raises(UnknownTargetError, match=said):
        SCHEMA.output(output)


def test_arguments() -> None:
    """Texts become what is wanted, and everything that is wrong is told at once."""
    command = SCHEMA.command("climate/set-target")
    assert command.name == "climate.set_target"
    given = {"celsius": Text("23"), "note": Text("23")}
    assert command.check(given) == {"celsius": 23, "note": "23"}
    with pytest.raises(InvalidValueError) as error:
        command.check({"celsius": 41, "nte": "x"})
    assert str(error.value) == (
        "celsius: 41 is not allowed; at most 40 is allowed; "
        "nte: there is no such argument; did you mean 'note'?"
    )
    with pytest.raises(InvalidValueError, match="celsius: is missing; it is required"):
        command.check({})
    with pytest.raises(UnknownTargetError, match=r"did you mean 'climate\.set_target'"):
        SCHEMA.command("climate.set_targt")


def test_where_requests_go() -> None:
    """A dot does as well as a slash; a name without a member is refused."""
    assert request_topic("set", "light_bar.dim_level") == "set/light-bar/dim-level"
    assert request_topic("call", "climate/set_target") == "call/climate/set-target"
    for name in ("lamp", "/power", "lamp/"):
        with pytest.raises(InvalidValueError, match="write device/output"):
            request_topic("set", name)


def test_terms_of_requests() -> None:
    """Leases and signatures are read as published, and what is none of them is left out."""
    lease = {"timeout_s": 10, "outputs": ["lamp.power"], "commands": []}
    odd = {"odd": {"timeout_s": True}, "none": 7}
    schema = NodeSchema(
        "n1", {"leases": {"hand": lease, **odd}, "signatures": {"keys": {"a": "b"}}}
    )
    assert schema.leases == [LeaseSchema("hand", 10.0, ("lamp.power",), ())]
    assert schema.signatures == SignatureSchema(False, {"a": "b"})
    with pytest.raises(UnknownTargetError, match="n1 has no lease 'hnad'; did you mean 'hand'"):
        schema.lease("hnad")
    bare = NodeSchema("n1", {"leases": [], "signatures": True})
    assert (bare.leases, bare.signatures) == ([], None)
    with pytest.raises(UnknownTargetError, match="n1 has no lease 'hand'; it has none"):
        bare.lease("hand")


def test_an_output_says_which_role_it_needs() -> None:
    """A client can tell before the node refuses."""
    assert SCHEMA.output("lamp/power").role == "operator"
    assert SCHEMA.output("lamp/dim-level").role == ""
