"""Policies: who may call what, and that a change counts at once."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel.core.errors import ForbiddenError
from edgekernel.core.policy import Policies, Policy


def allowed(policies: Policies, principal: str, *names: str, destructive: bool = False) -> bool:
    try:
        policies.check((principal,), names, destructive)
    except ForbiddenError:
        return False
    return True


def test_without_policies_nobody_is_held_back() -> None:
    """A policy takes away; what is needed is the business of roles."""
    assert allowed(Policies(), "anna", "fan.on")


@pytest.mark.parametrize(
    ("policy", "name", "expected"),
    [
        (Policy(), "fan.on", True),
        (Policy(allow=()), "fan.on", False),
        (Policy(allow=("fan.*",)), "fan.on", True),
        (Policy(allow=("fan.*",)), "fans.on", False),
        (Policy(allow=("fan.*",)), "Fan.on", False),
        (Policy(deny=("relay.on",)), "relay.on", False),
        (Policy(deny=("relay.on",)), "relay.off", True),
        (Policy(allow=("relay.on",), deny=("relay.*",)), "relay.on", False),
    ],
)
def test_allow_and_deny(policy: Policy, name: str, expected: bool) -> None:
    """What is not allowed is refused, and deny wins."""
    policies = Policies()
    policies.set("anna", policy)
    assert allowed(policies, "anna", name) is expected
    assert allowed(policies, "bert", name)


def test_every_policy_that_fits_counts() -> None:
    """A pattern holds beside the policy of the principal itself."""
    policies = Policies()
    policies.set("*", Policy(deny=("fan.reset",)))
    policies.set("component:*", Policy(allow=("fan.*",)))
    assert not allowed(policies, "component:room", "fan.reset")
    assert not allowed(policies, "component:room", "lamp.on")
    assert allowed(policies, "component:room", "fan.on")
    assert allowed(policies, "", "lamp.on")
    assert not allowed(policies, "", "fan.reset")


def test_every_name_of_a_command_is_denied() -> None:
    """A command that has two names cannot be reached by the one that a policy does not know."""
    policies = Policies()
    policies.set("anna", Policy(deny=("tenant.report",)))
    assert not allowed(policies, "anna", "t1.report", "tenant.report")
    policies.set("anna", Policy(deny=("t1.report",)))
    assert not allowed(policies, "anna", "t1.report", "tenant.report")
    assert allowed(policies, "anna", "t2.report", "tenant.report")


def test_destructive_commands() -> None:
    """Who may call commands may be kept from the destructive ones."""
    policies = Policies()
    policies.set("mcp", Policy(destructive=False))
    assert allowed(policies, "mcp", "store.list")
    assert not allowed(policies, "mcp", "store.wipe", destructive=True)
    assert allowed(policies, "anna", "store.wipe", destructive=True)


def test_changes_count_at_once() -> None:
    """A policy that is set, replaced or removed counts from the next call on."""
    policies = Policies()
    policies.set("anna", Policy(deny=("fan.on",)))
    assert not allowed(policies, "anna", "fan.on")
    policies.set("anna", Policy())
    assert allowed(policies, "anna", "fan.on")
    policies.set("anna", Policy(allow=()))
    policies.remove("anna")
    policies.remove("anna")
    assert allowed(policies, "anna", "fan.on")
    assert policies.all() == {}


def test_the_text_says_which_policy() -> None:
    """Who is refused learns what objects, and where it was set."""
    policies = Policies()
    policies.set("an*", Policy(deny=("fan.*",)))
    with pytest.raises(
        ForbiddenError, match=r"fan\.on may not be called by 'anna': denied by 'fan\.\*'.*'an\*'"
    ):
        policies.check(("anna",), ("fan.on",), False)


@pytest.mark.parametrize("field", ["allow", "deny"])
def test_a_text_is_no_list_of_names(field: str) -> None:
    """P11: "valve.*" in place of ["valve.*"], whose "*" would allow everything, is refused."""
    wrong: Any = {field: "valve.*"}
    with pytest.raises(TypeError, match=rf"{field} is a list of names; write \['valve"):
        Policy(**wrong)
