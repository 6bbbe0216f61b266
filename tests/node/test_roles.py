"""Roles: what a node file grants to those who sign, and asks of those who set outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekernel import ConfigError, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import ForbiddenError
from edgekernel.node import assemble, make_plan
from edgekernel.node.schema import describe_node
from edgekernel.sim import SimClock

NODE = """
[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.heater.outputs.power]
role = "operator"

[devices.fan]
driver = "relay"
pin = "GPIO27"

[mqtt]
host = "broker.local"
"""
KEYS = """
[mqtt.signatures.keys]
anna = "anna.pem"
"""
ROLES = """
[mqtt.signatures.roles]
anna = ["operator", "valves:open"]
"""


def made(file: Path) -> Runtime:
    """Return the runtime of a node file."""
    with SimClock() as clock:
        return assemble(make_plan(file), SimBackend(clock), clock, Runtime)


def test_an_output_says_the_role_that_it_needs(node_file: Callable[..., Path]) -> None:
    """It is on the output and in the schema; where none is asked for, nothing is said."""
    devices = describe_node(made(node_file(NODE)))["devices"]
    assert devices["heater"]["outputs"]["power"]["role"] == "operator"
    assert "role" not in devices["fan"]["outputs"]["power"]


def test_roles_are_granted_to_who_signs(node_file: Callable[..., Path]) -> None:
    """Roles and actions of the table, to nobody else; without the table nobody has any."""
    commands = made(node_file(NODE + KEYS + ROLES)).commands
    commands.authorize("x", "anna", role="operator", action="valves:open")
    for principal, role in (("anna", "admin"), ("mqtt", "operator"), ("", "operator")):
        with pytest.raises(ForbiddenError, match=f"x needs the role '{role}'"):
            commands.authorize("x", principal, role=role)
    with pytest.raises(ForbiddenError):
        made(node_file(NODE + KEYS)).commands.authorize("x", "anna", role="operator")


def test_who_cannot_sign_is_granted_nothing(node_file: Callable[..., Path]) -> None:
    """A principal without a key is a mistake, with its place and the nearest name."""
    path = node_file(NODE + KEYS + ROLES.replace("anna", "ana"))
    with pytest.raises(ConfigError) as caught:
        make_plan(path)
    assert str(caught.value) == (
        f"{path.name}: mqtt.signatures.roles.ana: there is no key \"ana\"; did you mean 'anna'?"
    )
