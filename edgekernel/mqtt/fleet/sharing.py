"""Shared subscriptions: several consumers that get each message once together (MQTT 5, 4.8.2)."""

from __future__ import annotations

from edgekernel.core.errors import InvalidValueError


def checked_share(name: str) -> str:
    """Return the name of a share. Raises InvalidValueError for one that no filter can hold."""
    if not name or set(name) & set("/+#\0") or len(name) > 64:
        raise InvalidValueError(
            f"share {name[:80]!r}: write 1 to 64 characters without '/', '+' and '#', "
            "such as archive"
        )
    return name
