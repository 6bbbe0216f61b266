"""What the runtime tells of its parts: their state, what they declare, how they are."""

from __future__ import annotations

from typing import Any

from edgekernel.core.errors import describe
from edgekernel.core.markers import hook
from edgekernel.core.registry import Registry, contract_name
from edgekernel.core.traits import TraitRegistry
from edgekernel.core.turns import TurnQueue
from edgekernel.core.unit import Unit, call_hook


def describe_unit(unit: Unit, traits: TraitRegistry, registry: Registry) -> dict[str, Any]:
    """Return what an operator wants to know of one part, ready for JSON."""
    meta = unit.meta
    return {
        "component": meta.qualified_name,
        "version": meta.version,
        "kind": unit.kind.name.lower(),
        "state": str(unit.state),
        "error": unit.error,
        "attempts": unit.attempts,
        "optional": unit.optional,
        "parent": unit.parent or None,
        "provides": [contract_name(contract) for contract in meta.contracts],
        "requires": {each.name: str(each) for each in unit.requirements},
        "consumers": registry.consumers(unit.name),
        "commands": list(meta.commands),
        "handlers": [each if isinstance(each, str) else each.name for each in meta.handlers],
        "kinds": [each.name for each in meta.kinds],
        "skills": [each.name for each in meta.skills],
        "exposed": [each.surface for each in meta.exposures],
        "reactive": {"computed": list(meta.computeds), "effects": list(meta.effects)},
        "traits": traits.compute(meta),
    }


def ask_health(unit: Unit, turns: TurnQueue, limit_s: float) -> str:
    """Return what is wrong with an active part, or nothing."""
    method = hook(unit.part, "health")
    if method is None:
        return ""
    asked = method
    try:
        answer = turns.call(
            lambda: call_hook(asked, unit.context), f"health of {unit.name}", limit_s
        )
    except Exception as error:
        return describe(error)[0]
    if isinstance(answer, str):
        return answer
    return "" if answer is None or answer else "says that it is not healthy"
