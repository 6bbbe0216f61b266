"""Who has been granted which roles: what the node file says of those who sign their requests."""

from __future__ import annotations

from collections.abc import Iterator

from edgekernel.core.commands import Authorizer
from edgekernel.node.document import NodeDocument
from edgekernel.node.problems import did_you_mean


def unknown_principals(document: NodeDocument) -> Iterator[str]:
    """Say, beginning with the key, who has been granted roles and has no key to sign with."""
    signatures = None if document.mqtt is None else document.mqtt.signatures
    if signatures is None:
        return
    for principal in signatures.roles:
        if principal not in signatures.keys:
            known = did_you_mean(principal, signatures.keys)
            yield f'mqtt.signatures.roles.{principal}: there is no key "{principal}"; {known}'


def authorizer_of(document: NodeDocument) -> Authorizer | None:
    """Return what says whether a principal has a role; None if nobody has been granted any."""
    mqtt = document.mqtt
    if mqtt is None or mqtt.signatures is None or not mqtt.signatures.roles:
        return None
    granted = {principal: frozenset(each) for principal, each in mqtt.signatures.roles.items()}
    return lambda principal, needed: needed in granted.get(principal, ())
