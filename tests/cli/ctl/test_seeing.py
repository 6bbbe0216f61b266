"""What there is: nodes, info, get, health, schema."""

from __future__ import annotations

import pytest

from tests.brokers import Mosquitto, watching
from tests.cli.ctl.conftest import Ctl, as_json, printed


def test_nodes(ctl: Ctl) -> None:
    """`nodes` lists the nodes with state, board and labels, for people and as a JSON array."""
    result = ctl("nodes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert any(line.split()[:2] == ["bench-1", "online"] for line in result.stdout.splitlines())
    assert "zone=north" in result.stdout
    row, other = printed(ctl("nodes", "--json"))
    assert (row["name"], row["state"], row["board"]) == ("bench-1", "online", "sim")
    assert (row["labels"], other["labels"]) == ({"zone": "north"}, {"zone": "south"})
    assert row["since"].endswith("Z")


def test_nodes_that_are_picked(ctl: Ctl) -> None:
    """`--where` picks by labels, state and fields, all of them; a misspelt field is refused."""
    assert [row["name"] for row in printed(ctl("nodes", "--where", "zone=north", "--json"))] == [
        "bench-1"
    ]
    both = ("--where", "zone=north", "--where", "state=offline")
    assert printed(ctl("nodes", *both, "--json")) == []
    assert "no nodes with these values" in ctl("nodes", *both).stdout
    assert (
        "did you mean 'zone'?"
        in as_json(ctl("nodes", "--where", "zoen=north", "--json"), 1)["message"]
    )
    assert ctl("nodes", "--where", "zone").exit_code == 2


def test_text_of_others_is_no_markup(ctl: Ctl, broker: Mosquitto) -> None:
    """What a node says is printed as it is, whatever brackets and colons are in it."""
    with watching(broker.port, "edge/ghost/#") as client:
        status = {"state": "[bold]odd", "cause": "[/dev/i2c-1] :smile: is gone"}
        client.publish("edge/ghost/status", status, retain=True)
        client.publish("edge/ghost/state/x", {"s": {"value": "[/]", "reason": "[a]"}}, retain=True)
        try:
            listed = ctl("nodes").stdout
            state = ctl("get", "ghost").stdout
        finally:
            for topic in ("status", "state/x"):
                client.publish(f"edge/ghost/{topic}", b"", retain=True)
    assert "[bold]odd" in listed
    assert "[/dev/i2c-1] :smile: is gone" in listed
    assert "[/]" in state
    assert "[a]" in state
    assert ctl("call", "bench-1", "control.both").stdout == "[true, false]\n"


def test_nodes_elsewhere(ctl: Ctl) -> None:
    """Below a prefix without nodes there are none: no error, and an empty array."""
    result = ctl("--prefix", "other", "nodes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "no nodes below other/" in result.stdout
    assert printed(ctl("--prefix", "other", "nodes", "--json")) == []


def test_get(ctl: Ctl) -> None:
    """`get` shows every signal of every device, or of the one asked for."""
    result = ctl("get", "bench-1")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["room", "temperature", "20.0", "°C", "good"] in [row[:5] for row in rows]
    state = printed(ctl("get", "bench-1", "--json"))
    assert sorted(state) == ["door", "fan", "i2c1", "room"]
    room = printed(ctl("get", "bench-1", "room", "--json"))
    assert list(room) == ["room"]
    temperature = room["room"]["temperature"]
    assert temperature["value"] == pytest.approx(20, abs=0.02)
    assert (temperature["unit"], temperature["quality"]) == ("°C", "good")


def test_get_of_many(ctl: Ctl) -> None:
    """The states of every node that is picked are in one table, or in one array with the node."""
    rows = [line.split() for line in ctl("get", "--all", "fan").stdout.splitlines()]
    assert [row[:4] for row in rows[1:]] == [
        ["bench-1", "fan", "power", "off"],
        ["bench-2", "fan", "power", "off"],
    ]
    (one,) = printed(ctl("get", "--where", "zone=south", "room", "--json"))
    assert (one["node"], one["ok"], list(one["result"])) == ("bench-2", True, ["room"])
    result = ctl("get", "--all", "fann")
    assert (result.exit_code, result.stdout.count("did you mean 'fan'?")) == (1, 2)


def test_info(ctl: Ctl) -> None:
    """`info` shows what a node runs and where, with the fingerprint of its node file."""
    found = printed(ctl("info", "bench-1", "--json"))
    assert (found["node"], found["board"], found["labels"]) == ("bench-1", "sim", {"zone": "north"})
    assert len(found["config"]) == len(found["boot"]) == 32
    assert found["boot"] in ctl("info", "bench-1").stdout
    assert [each["node"] for each in printed(ctl("info", "--all", "--json"))] == [
        "bench-1",
        "bench-2",
    ]
    assert "zone=south" in ctl("info", "--where", "zone=south").stdout


def test_health(ctl: Ctl) -> None:
    """`health` shows services, queues, losses and the computer; of many a line each."""
    found = printed(ctl("health", "bench-1", "--json"))
    assert (found["state"], found["connections"]) == ("running", 1)
    assert set(found["dropped"].values()) == {0}
    assert found["disk_free_bytes"] > 0
    assert 0 < found["memory_available_percent"] <= 100
    assert found["disk_read_only"] in (False, True, None)
    assert "poll:i2c1=" in ctl("health", "bench-1").stdout
    assert ctl("health", "--all").stdout.count("memory free ") == 2
    assert ctl("health", "--all").stdout.count("running  errors=0") == 2


def test_schema(ctl: Ctl) -> None:
    """`schema` shows what can be asked for, as `edgekernel schema` does of a node file."""
    rows = [line.split()[:2] for line in ctl("schema", "bench-1").stdout.splitlines()]
    assert ["control.boost", "minutes=10"] in rows
    found = printed(ctl("schema", "bench-1", "--json"))
    minutes = found["commands"]["control"]["boost"]["arguments"]["properties"]["minutes"]
    assert (minutes["maximum"], minutes["default"]) == (60, 10)
    assert "commands" in ctl("schema", "--all").stdout
    assert len(printed(ctl("schema", "--all", "--json"))) == 2


@pytest.mark.parametrize("command", ["info", "health", "schema", "get"])
def test_nobody_of_that_name(ctl: Ctl, command: str) -> None:
    """Names are exact; the nearest is only told, exit 1."""
    result = ctl(command, "bench")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no node 'bench'; did you mean 'bench-" in result.stderr


@pytest.mark.parametrize("command", ["get", "info", "health"])
def test_what_a_node_that_is_gone_has_told(ctl: Ctl, broker: Mosquitto, command: str) -> None:
    """It is shown, and that it is old: with its day, and that nobody is there to tell more."""
    state = {"online": True, "power": {"value": True, "time": "2026-01-02T03:04:05Z"}}
    told = {
        "status": {"state": "offline", "cause": "connection lost"},
        "info": {"version": "1"},
        "health": {"state": "running"},
        "state/pump": state,
    }
    with watching(broker.port) as client:
        for topic, document in told.items():
            client.publish(f"edge/gone-9/{topic}", document, retain=True)
    done = ctl(command, "gone-9")
    with watching(broker.port) as client:
        for topic in told:
            client.publish(f"edge/gone-9/{topic}", "", retain=True)
    assert done.exit_code == 0
    assert done.stderr == "gone-9 is offline (connection lost): this is its latest\n"
    if command == "get":
        assert "2026-01-02 03:04:05" in done.stdout
