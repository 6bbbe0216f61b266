"""What nodes are asked to do: set, call; one node, or many at once."""

from __future__ import annotations

import json

from tests.brokers import Mosquitto, watching
from tests.cli.ctl.conftest import Ctl, as_json, printed


def test_set(ctl: Ctl) -> None:
    """`set` comes back when the node has done it, whichever way output and value are written."""
    for output, value, expected in (
        ("fan/power", "on", True),
        ("fan.power", "off", False),
        ("fan/power", "true", True),
        ("fan/power", "false", False),
    ):
        result = ctl("set", "bench-1", output, value)
        assert (result.exit_code, result.stderr) == (0, "")
        assert printed(ctl("call", "bench-1", "sim.level", "line=GPIO17", "--json")) is expected


def test_call(ctl: Ctl) -> None:
    """`call` prints the result, as it is and as JSON; a command without one is done."""
    result = ctl("call", "bench-1", "control.boost", "minutes=5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {"minutes": 5}
    assert printed(ctl("call", "bench-1", "control/boost", "--json")) == {"minutes": 10}
    assert ctl("call", "bench-1", "control.nothing").stdout == "done\n"
    assert printed(ctl("call", "bench-1", "control.nothing", "--json")) is None


def test_types_come_from_the_schema(ctl: Ctl) -> None:
    """A value is read as what is wanted there, and what is not allowed is not sent."""
    before = printed(ctl("health", "bench-1", "--json"))["dropped"]
    result = ctl("call", "bench-1", "control.boost", "minutes=61")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "refused (invalid): minutes: 61 is not allowed; at most 60 is allowed\n"
    )
    assert ctl("call", "bench-1", "control.boost", "minutes=on").exit_code == 1
    assert printed(ctl("health", "bench-1", "--json"))["dropped"] == before


def test_set_on_many(ctl: Ctl) -> None:
    """Every node that is picked does it, and has a row; an array with --json."""
    result = ctl("set", "--all", "fan/power", "on")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1:] == [["bench-1", "done"], ["bench-2", "done"]]
    for node in ("bench-1", "bench-2"):
        assert printed(ctl("call", node, "sim.level", "line=GPIO17", "--json")) is True
    assert printed(ctl("set", "--where", "zone=north", "fan/power", "off", "--json")) == [
        {"node": "bench-1", "ok": True, "result": None}
    ]
    assert printed(ctl("call", "bench-2", "sim.level", "line=GPIO17", "--json")) is True
    assert ctl("set", "--all", "fan/power", "off").exit_code == 0


def test_call_on_many(ctl: Ctl) -> None:
    """Each has its result or its reason; one that is refused makes the exit code 1."""
    result = ctl("call", "--all", "control.boost", "minutes=5", "--json")
    assert [(row["node"], row["result"]) for row in printed(result)] == [
        ("bench-1", {"minutes": 5}),
        ("bench-2", {"minutes": 5}),
    ]
    result = ctl("call", "--all", "control.fail")
    assert (result.exit_code, result.stdout.count("no such row")) == (1, 2)
    refused = ctl("call", "--all", "control.reset", "--json")
    assert refused.exit_code == 1
    assert [row["error"]["code"] for row in json.loads(refused.stdout)] == ["forbidden"] * 2


def test_nobody_is_picked(ctl: Ctl) -> None:
    """A selection of nobody does nothing, and is no success."""
    error = as_json(ctl("set", "--where", "zone=west", "fan/power", "on", "--json"), 1)
    assert error["message"] == "no node with zone=west"


def test_a_node_that_is_offline(ctl: Ctl, broker: Mosquitto) -> None:
    """Of many the one that is offline has its reason and nothing is sent to it, exit 3."""
    with watching(broker.port, "edge/ghost/#") as client:
        status = {"state": "offline", "cause": "connection lost"}
        client.publish("edge/ghost/status", status, retain=True)
        client.forget()
        try:
            result = ctl("set", "--all", "fan/power", "off")
        finally:
            client.publish("edge/ghost/status", b"", retain=True)
        assert result.exit_code == 3
        assert "ghost is offline" not in result.stderr
        rows = [line for line in result.stdout.splitlines() if line.startswith("ghost")]
        assert len(rows) == 1
        assert "ghost is offline: connection lost" in rows[0]
        assert not [each for each in client.received if "/set/" in each.topic]
