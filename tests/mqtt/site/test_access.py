"""The access list: what each role may read and write, made from the topic map."""

from __future__ import annotations

import pytest

from edgekernel.mqtt.site.access import Role, access_list


def rules(role: Role) -> set[str]:
    """Return the rules of a user with that role."""
    _, _, own = access_list("edge", {"alice": role}).partition("user alice\n")
    return set(own.splitlines())


def test_a_node_is_kept_below_its_name() -> None:
    """Every pattern has the node's own name in it, but for Home Assistant's birth message."""
    patterns = [line for line in access_list("plant/line-1", {}).splitlines() if "pattern" in line]
    assert "pattern write plant/line-1/%u/state/#" in patterns
    assert "pattern read plant/line-1/%u/set/#" in patterns
    assert "pattern read plant/line-1/%u/state/#" in patterns  # what it has left there itself
    assert [p for p in patterns if "%u" not in p] == ["pattern read homeassistant/status"]


def test_a_node_cannot_ask_itself() -> None:
    """What it reads as requests it does not write, so that a node that is taken over cannot hide
    behind somebody else's request."""
    lines = access_list("edge", {}).splitlines()
    assert not [line for line in lines if "write" in line and "/set/" in line]
    assert not [line for line in lines if "write" in line and "/call/" in line]


@pytest.mark.parametrize("role", ["viewer", "operator", "admin", "homeassistant"])
def test_everybody_reads_and_nobody_plays_a_node(role: Role) -> None:
    """Every role reads states; none writes what a node publishes."""
    own = rules(role)
    assert "topic read edge/+/state/#" in own
    assert "topic write edge/+/status" not in own
    assert "topic write edge/+/state/#" not in own


def test_a_viewer_writes_nothing() -> None:
    """A viewer only reads, and no replies."""
    assert not [rule for rule in rules("viewer") if "read edge" not in rule]
    assert "topic read edge/+/reply/#" not in rules("viewer")


def test_what_the_roles_add() -> None:
    """An operator sets and calls, an admin also configures, Home Assistant also discovers."""
    operator = rules("operator")
    assert operator - rules("viewer") == {
        "topic write edge/+/set/#",
        "topic write edge/+/call/#",
        "topic write edge/+/lease/#",
        "topic read edge/+/reply/#",
    }
    assert rules("admin") - operator == {"topic write edge/+/desired"}
    assert rules("homeassistant") - operator == {"topic readwrite homeassistant/#"}
