"""The leases that a node file names, given to a runtime, and checked against its parts."""

from __future__ import annotations

from collections.abc import Mapping

from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError
from edgekernel.core.leases import Leases, wrong_outputs
from edgekernel.core.runtime import Runtime
from edgekernel.node.plan import Plan
from edgekernel.node.problems import did_you_mean


def add_leases(plan: Plan, runtime: Runtime, devices: Mapping[str, Device]) -> None:
    """Register the leases of a plan whose devices are made. Raises ConfigError."""
    terms = {name: table.terms for name, table in plan.document.leases.items()}
    problems = list(wrong_outputs(terms, devices))
    if problems:
        raise ConfigError(*(f"{plan.path.name}: leases.{key}: {text}" for key, text in problems))
    if terms:
        runtime.register(Leases(runtime, terms))


def check_commands(plan: Plan, runtime: Runtime) -> None:
    """Raise ConfigError if a lease names a command that no part of the runtime has."""
    if not plan.document.leases:
        return
    parts = runtime.status()["components"]
    known = [f"{part}.{name}" for part, each in parts.items() for name in each["commands"]]
    problems = [
        f'{plan.path.name}: leases.{lease}.commands: "{name}" is no command; '
        f"{did_you_mean(name, known) if known else 'there are none'}"
        for lease, table in plan.document.leases.items()
        for name in table.commands
        if name not in known
    ]
    if problems:
        raise ConfigError(*problems)
