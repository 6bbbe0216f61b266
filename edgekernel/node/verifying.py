"""Verifying a plan inside of a node that runs: everything but the application is made once."""

from __future__ import annotations

from dataclasses import replace

from edgekernel.backends.sim import SimBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import ConfigError
from edgekernel.core.runtime import Runtime
from edgekernel.node.assemble import assemble
from edgekernel.node.document import SimTable
from edgekernel.node.plan import Plan
from edgekernel.node.tuning import hasty


def verify(plan: Plan) -> None:
    """Make the devices of a plan on a simulated board; nothing real is opened, nothing starts.

    Raises ConfigError with what drivers say of their settings, and what outputs of each other.
    The application is not loaded a second time: what it requires of the devices is looked at when
    they are exchanged.
    """
    document = plan.document
    leases = {
        name: table.model_copy(update={"commands": []}) for name, table in document.leases.items()
    }
    alone = document.model_copy(
        update={
            "node": document.node.model_copy(update={"app": None}),
            "leases": leases,
            "sim": SimTable(),
        }
    )
    clock = SystemClock()
    backend = SimBackend(clock)
    try:
        made = assemble(replace(plan, document=alone), backend, clock, Runtime)
    finally:
        backend.close()
    if problems := [f"{plan.path.name}: {text}" for text in hasty(made.devices)]:
        raise ConfigError(*problems)
