"""Where a journal comes from: the boot and the configuration, as records."""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekernel.core.clock import Clock
from edgekernel.core.time_quality import is_simulated
from edgekernel.core.version import VERSION
from edgekernel.journal.plain import plain
from edgekernel.journal.records import BootRecord, ConfigRecord

if TYPE_CHECKING:
    from edgekernel.node.plan import Plan

UPTIME = "uptime_s"
"""Beside the versions stands for how many seconds the agent had run then, by its clock."""
_HASH_DIGITS = 32


def boot_record(clock: Clock, node: str, plan: Plan | None = None) -> BootRecord:
    """Return the record of an agent that begins now.

    On a simulated clock everything in it follows from the node, the time and the seed.
    """
    now = clock.monotonic_ns(), clock.time_ns()
    plan_hash = "" if plan is None else _hash(_resolved(plan))
    seed = getattr(clock, "seed", None)
    app = {} if plan is None else app_version(plan)
    versions: dict[str, Any] = {
        "edgekernel": VERSION,
        **app,
        UPTIME: round(clock.uptime(), 6),
    }
    if is_simulated(clock):
        boot_id = _hash([node, plan_hash, *now, seed])
        return BootRecord(*now, boot_id, node, versions, plan_hash, "simulated", seed)
    versions |= {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel": platform.release(),
    }
    boot_id = secrets.token_hex(_HASH_DIGITS // 2)
    return BootRecord(*now, boot_id, node, versions, plan_hash, "system", None)


def config_record(clock: Clock, plan: Plan) -> ConfigRecord:
    """Return the record of the node file, without its secrets."""
    from edgekernel.node.fingerprint import fingerprint, shown  # there is a plan: it is loaded

    document = plan.document
    now = clock.monotonic_ns(), clock.time_ns()
    return ConfigRecord(*now, fingerprint(document), shown(document))


def app_version(plan: Plan) -> dict[str, str]:
    """Return a hash of the application's sources, as far as it is loaded: {"app": ...}, or {}.

    These are all modules of its package, or its module if that is in none.
    """
    app = plan.document.node.app
    file = None if app is None else getattr(sys.modules.get(app), "__file__", None)
    if app is None or file is None:
        return {}
    module = Path(file)
    in_package = "." in app or module.name == "__init__.py"
    sources = sorted(module.parent.rglob("*.py")) if in_package else [module]
    content = [[each.name, each.read_text(errors="replace")] for each in sources]
    return {"app": _hash(content)}


def _resolved(plan: Plan) -> list[Any]:
    """Return what the plan has made of the devices: drivers, settings, places on the board."""
    return [
        plan.board.id,
        *(
            {
                "id": device.id,
                "driver": f"{device.driver.__module__}.{device.driver.__qualname__}",
                "settings": plain(device.settings),
                "addresses": plain(device.addresses),
                "every_s": device.every_s,
                "optional": device.optional,
            }
            for device in plan.devices
        ),
    ]


def _hash(content: list[Any] | Mapping[str, Any]) -> str:
    """Return the first digits of the SHA-256 of data as JSON with sorted names."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
