"""The fingerprint of a node file: two nodes with the same one are configured alike."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from edgekernel.core.masking import HIDDEN, sounds_secret
from edgekernel.node.document import NodeDocument

_DIGITS = 32


def shown(document: NodeDocument) -> dict[str, Any]:
    """Return what a node file says, as plain data, with its secrets hidden."""
    content: dict[str, Any] = document.model_dump(mode="json", exclude_unset=True)
    hidden: dict[str, Any] = _without_secrets(content)
    return hidden


def fingerprint(document: NodeDocument) -> str:
    """Return the first digits of the SHA-256 of what a node file says, its secrets aside."""
    text = json.dumps(shown(document), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: HIDDEN if sounds_secret(key) else _without_secrets(each)
            for key, each in value.items()
        }
    return [_without_secrets(each) for each in value] if isinstance(value, list) else value
