"""A node with nothing but its devices: to try them out, or to reach their outputs."""

from __future__ import annotations

from dataclasses import replace

from edgekernel.node.document import SimTable
from edgekernel.node.plan import Plan


def devices_alone(plan: Plan) -> Plan:
    """Return the plan with nothing but the devices, none of which keeps the node from starting."""
    node = plan.document.node.model_copy(update={"app": None})
    document = plan.document.model_copy(update={"node": node, "sim": SimTable(), "mqtt": None})
    devices = tuple(replace(device, optional=True) for device in plan.devices)
    return replace(plan, document=document, devices=devices)
