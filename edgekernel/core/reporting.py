"""What the runtime tells of its parts: their state, what they declare, how they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgekernel.core.device import Device
from edgekernel.core.errors import TurnTimeoutError, describe
from edgekernel.core.markers import hook, is_async
from edgekernel.core.polls import Polls
from edgekernel.core.provider import contract_name
from edgekernel.core.registry import Registry
from edgekernel.core.traits import TraitRegistry
from edgekernel.core.turns import TurnQueue
from edgekernel.core.unit import Unit, UnitState, call_hook

_LEAST_S = 0.05


def describe_units(
    units: Iterable[Unit], traits: TraitRegistry, registry: Registry
) -> dict[str, Any]:
    """Return what an operator wants to know of the parts, by name, ready for JSON."""
    usage = registry.usage()
    return {unit.name: _describe(unit, traits, usage.get(unit.name, [])) for unit in units}


def describe_devices(devices: Mapping[str, Device], now_ns: int) -> dict[str, Any]:
    """Return how each device answers, by id, ready for JSON.

    `failures` are the polls that have failed in a row, `next_poll_in_s` is when the next one is
    due and `last_poll_age_s` how long ago the last one succeeded: None if it is not polled.
    `last_error` is why it is offline, or was the last time. `outputs` is what `Output.status` says
    of each output, if it has some.
    """
    return {
        id: {
            "online": device.online,
            **(device.poll_record or Polls()).figures(now_ns),
            "last_error": device.offline_error,
            **_of_outputs(device),
        }
        for id, device in devices.items()
    }


def _of_outputs(device: Device) -> dict[str, Any]:
    found = {name: output.status() for name, output in device.outputs.items()}
    return {"outputs": found} if found else {}


def _describe(unit: Unit, traits: TraitRegistry, consumers: list[str]) -> dict[str, Any]:
    meta = unit.meta
    state, problem = _service_problem(unit)
    return {
        "component": meta.qualified_name,
        "version": meta.version,
        "kind": unit.kind.name.lower(),
        "state": state or str(unit.state),
        "error": problem or unit.error,
        "attempts": unit.attempts,
        "optional": unit.optional,
        "parent": unit.parent or None,
        "provides": [contract_name(contract) for contract in meta.contracts],
        "requires": {each.name: str(each) for each in unit.requirements},
        "consumers": consumers,
        "commands": list(meta.commands),
        "handlers": [each if isinstance(each, str) else each.name for each in meta.handlers],
        "kinds": [each.name for each in meta.kinds],
        "skills": [each.name for each in meta.skills],
        "exposed": [each.surface for each in meta.exposures],
        "reactive": {"computed": list(meta.computeds), "effects": list(meta.effects)},
        "traits": traits.compute(meta),
    }


def ask_health(
    units: Iterable[Unit], missing: Iterable[Unit], turns: TurnQueue, limit_s: float
) -> dict[str, Any]:
    """Return how each of these active parts, and of those that are missing, is, ready for JSON.

    Each has `limit_s` seconds to answer; those behind one that has used them up have little.
    """
    answers: dict[str, str] = {}
    for unit in units:
        try:
            answers[unit.name] = _ask(unit, turns, limit_s)
        except TurnTimeoutError as error:
            answers[unit.name], limit_s = describe(error)[0], _LEAST_S
        except (Exception, SystemExit) as error:
            answers[unit.name] = describe(error)[0]
    answers |= {unit.name: unit.error for unit in missing}
    return {name: {"healthy": not wrong, "reason": wrong} for name, wrong in answers.items()}


def _service_problem(unit: Unit) -> tuple[str, str]:
    """Return in which state an active service is that does not serve, and why; else nothing."""
    supervised = unit.supervised
    if supervised is None or unit.state is not UnitState.ACTIVE:
        return "", ""
    status = supervised.status()
    if status["state"] == "failed":
        return "failed", f"failed, and is not started again: {status['last_error']}"
    if status["state"] == "hung":
        return "hung", f"hangs for {status['busy_s'] or 0.0:g} s"
    return "", ""


def _ask(unit: Unit, turns: TurnQueue, limit_s: float) -> str:
    missing = unit.unmet()
    if missing:
        return f"nobody provides {', '.join(missing)}"
    _, problem = _service_problem(unit)
    if problem:
        return problem
    method = hook(unit.part, "health")
    if method is None:
        return ""
    asked = method
    label = f"health of {unit.name}"
    if is_async(asked):  # on the event loop, so that no handler waits for it
        answer = call_hook(asked, unit.context, limit_s=limit_s)
    else:
        answer = turns.call(lambda: call_hook(asked, unit.context), label, limit_s)
    if isinstance(answer, str):
        return answer
    return "" if answer is None or answer else "says that it is not healthy"
