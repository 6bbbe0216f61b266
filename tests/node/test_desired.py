"""A configuration from afar: what of it counts, and what is a node's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.node.desired import plan_from_afar, with_hidden
from edgekernel.node.difference import difference
from edgekernel.node.document import parse_document
from edgekernel.node.fingerprint import shown
from edgekernel.node.plan import Plan, plan_document

NODE = {"name": "n1", "board": "sim", "data": "d", "labels": {"zone": "north"}}
MQTT = {"host": "h", "username": "u", "password": "hush", "tls": {"ca": "ca.pem", "key": "k.pem"}}
FAN = {"driver": "relay", "pin": "GPIO17"}


def plan(**tables: Any) -> Plan:
    """Return the plan of a node."""
    raw = {"node": NODE, "devices": {"fan": FAN}, "mqtt": MQTT, **tables}
    return plan_document(parse_document(raw, "node.toml"), Path("node.toml"))


def test_what_config_show_returns_changes_nothing() -> None:
    """What a node shows of itself, secrets hidden, is the node as it is when it is sent back."""
    running = plan()
    assert not difference(running, plan_from_afar(shown(running.document), running, running))


def test_several_brokers_change_nothing() -> None:
    """The same with several brokers, whose keys are hidden."""
    brokers = [{"host": "a", "tls": {"key": "k.pem"}}, {"host": "b"}]
    running = plan(mqtt={"brokers": brokers})
    assert not difference(running, plan_from_afar(shown(running.document), running, running))


def test_nothing_but_devices() -> None:
    """A document with devices only leaves the rest as it is."""
    running = plan()
    made = plan_from_afar({"devices": {}}, running, running)
    assert [str(key) for key in difference(running, made).keys] == ["devices.fan"]


def test_what_may_be_changed_of_the_link() -> None:
    """Of the link may change what says nothing of whom the node trusts; left out it is gone."""
    running = plan(mqtt={**MQTT, "history": 5.0})
    made = plan_from_afar({"devices": {"fan": FAN}, "mqtt": {"keepalive": 9.0}}, running, running)
    keys = [str(key) for key in difference(running, made).keys]
    assert keys == ["mqtt.history", "mqtt.keepalive"]


@pytest.mark.parametrize(
    ("mqtt", "key"),
    [
        ({"host": "evil"}, "mqtt.host"),
        ({"tls": {"ca": "evil.pem", "key": "k.pem"}}, "mqtt.tls.ca"),
        ({"tls": False}, "mqtt.tls"),
        ({"signatures": {"keys": {"eve": "e.pem"}}}, "mqtt.signatures"),
        ({"remote_config": True}, "mqtt.remote_config"),
        ({"password_file": "/etc/passwd"}, "mqtt.password_file"),
    ],
)
def test_what_may_not(mqtt: dict[str, Any], key: str) -> None:
    """P11: to whom the node speaks, as whom, and whom it trusts is its own."""
    running = plan()
    with pytest.raises(ConfigError) as caught:
        plan_from_afar({"mqtt": mqtt}, running, running)
    assert caught.value.problems == (
        f"desired: {key}: is the node's own, and is changed in its node file only",
    )


def test_a_node_without_a_link_is_given_none() -> None:
    """A document makes no link where there is none."""
    running = plan_document(parse_document({"node": NODE}, "n"), Path("n"))
    with pytest.raises(ConfigError, match="mqtt: is the node's own"):
        plan_from_afar({"mqtt": {"host": "evil"}}, running, running)


def test_secrets_are_refused() -> None:
    """A document that carries secrets is refused, by the names of all of them."""
    devices = {"fan": {**FAN, "token": "t"}}
    with pytest.raises(ConfigError) as caught:
        plan_from_afar({"mqtt": {"password": "x"}, "devices": devices}, plan(), plan())
    assert [each.split(": ")[1] for each in caught.value.problems] == [
        "mqtt.password",
        "devices.fan.token",
    ]


def test_hidden_values_are_filled_in() -> None:
    """What is hidden in one document is as in the other, or left out."""
    shown_ = {"mqtt": {"host": "h", "password": "***", "tls": {"key": "***"}}, "x": "***"}
    other = {"mqtt": {"password": "hush"}}
    assert with_hidden(shown_, other) == {"mqtt": {"host": "h", "password": "hush", "tls": {}}}
