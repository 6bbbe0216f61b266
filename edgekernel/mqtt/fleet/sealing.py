"""How a request becomes a payload: as it is, or signed for a node that takes signatures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from edgekernel.core.clock import Clock
from edgekernel.core.errors import ForbiddenError
from edgekernel.mqtt.fleet.node_schema import NodeSchema
from edgekernel.mqtt.signing import Signer

LEAST_TTL_S = 30.0
"""How long a signed request counts at least: clocks differ."""

LEAST_BEAT_S = 5.0
"""The same for a sign of life, which is to be worth nothing soon after."""

Seal = Callable[[str, Mapping[str, Any], float], bytes]
"""Makes a payload: of the full topic, the request, and for how many seconds the asker waits."""


def plain(topic: str, request: Mapping[str, Any], within_s: float) -> bytes:
    """Return a request as it is."""
    return json.dumps(request, allow_nan=False).encode()


def signed(signer: Signer, clock: Clock, boot: str, least_s: float = LEAST_TTL_S) -> Seal:
    """Return what signs requests to a node for the start that its status tells of."""

    def seal(topic: str, request: Mapping[str, Any], within_s: float) -> bytes:
        return signer.sign(topic, request, clock.now_utc(), max(within_s, least_s), boot)

    return seal


def is_signed(node: str, schema: NodeSchema | None, signer: Signer | None) -> bool:
    """Say whether what a node is asked has to be signed, by what it has published of that.

    A node that has published no schema is taken for one that reads signatures; one whose schema
    has none would take a signed request for a text. Raises ForbiddenError with what is missing: a
    key, or the right one.
    """
    taken = None if schema is None else schema.signatures
    if signer is None:
        if taken is not None and taken.required:
            raise ForbiddenError(
                f"{node} takes signed requests only, {_of(taken.keys)}; give a key: "
                "`edgekernel ctl --key FILE`, or Fleet(..., signer=Signer.read(FILE))"
            )
        return False
    if schema is None or taken is None:
        return schema is None
    known = taken.keys.get(signer.principal)
    if known is None:
        raise ForbiddenError(
            f"{node} does not know {signer.principal!r}: it takes requests {_of(taken.keys)}; add "
            f"the public key to mqtt.signatures.keys of its node file"
        )
    if known and known != signer.fingerprint:
        raise ForbiddenError(
            f"{node} knows another key of {signer.principal!r}: {known}; this one is "
            f"{signer.fingerprint}"
        )
    return True


def _of(keys: Mapping[str, str]) -> str:
    return f"signed by: {', '.join(sorted(keys))}" if keys else "and knows no key yet"
