"""Masking: what secrets look like, and how they are kept out of records, logs and messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Annotated, Any

from edgekernel.core.hints import hints_of

HIDDEN = "***"
MAX_TEXT = 500
_MAX_VALUE = 100
_MAX_ITEMS = 20
_MAX_NESTING = 2
_WORD = r"[A-Z]?[a-z0-9]+|[A-Z]+"  # `re` keeps what it compiles
_SECRET_WORDS = frozenset(
    ("password", "passwd", "passphrase", "secret", "token", "credential", "credentials", "key")
)


class SecretMark:
    """Marks an annotation as one of a secret: `Annotated[int, SECRET]`."""

    def __repr__(self) -> str:
        return "SECRET"


SECRET = SecretMark()
Secret = Annotated[str, SECRET]
"""The annotation of a text that no record, log or message may show: `password: Secret`."""


def brief(text: str, limit: int = MAX_TEXT) -> str:
    """Cut a text that is too long for a record: what a stranger wrote must not fill it."""
    return text if len(text) <= limit else f"{text[:limit]}..."


def secret_parameters(function: Callable[..., Any]) -> frozenset[str]:
    """Return the parameters of a function whose annotations say that they are secret."""
    try:
        hints = hints_of(function)
    except Exception:  # an annotation that cannot be looked up: go by its text
        raw = getattr(function, "__annotations__", {})
        return frozenset(name for name, kind in raw.items() if "secret" in str(kind).lower())
    return frozenset(name for name, kind in hints.items() if _is_secret(kind))


def sounds_secret(name: str) -> bool:
    """Say whether a name is one of those under which secrets are usually passed."""
    return any(word.lower() in _SECRET_WORDS for word in re.findall(_WORD, name))


def masked(args: Mapping[str, Any], secret: Iterable[str] = ()) -> dict[str, Any]:
    """Return arguments as a record may show them: plain, short, without secrets."""
    return _masked(args, frozenset(secret), 0)


def scrubbed(text: str, args: Mapping[str, Any], secret: Iterable[str] = ()) -> str:
    """Return a text without the secrets that are among the arguments."""
    for found in sorted(set(_secrets(args, secret)), key=len, reverse=True):
        for written in (found, repr(found)[1:-1]):
            text = text.replace(written, HIDDEN)
    return text


def _is_secret(kind: Any) -> bool:
    return any(isinstance(mark, SecretMark) for mark in getattr(kind, "__metadata__", ())) or any(
        _is_secret(part) for part in getattr(kind, "__args__", ())
    )


def _masked(args: Mapping[str, Any], secret: frozenset[str], nesting: int) -> dict[str, Any]:
    return {
        brief(str(name), _MAX_VALUE): HIDDEN
        if name in secret or sounds_secret(str(name))
        else _shown(value, nesting)
        for name, value in islice(args.items(), _MAX_ITEMS)
    }


def _shown(value: Any, nesting: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return brief(str(value), _MAX_VALUE)
    if isinstance(value, Mapping) and nesting < _MAX_NESTING:
        return _masked(value, frozenset(), nesting + 1)
    if isinstance(value, list | tuple) and nesting < _MAX_NESTING:
        return [_shown(item, nesting + 1) for item in value[:_MAX_ITEMS]]
    return f"<{type(value).__name__}>"


def _secrets(args: Mapping[str, Any], secret: Iterable[str] = ()) -> Iterable[str]:
    for name, value in args.items():
        yield from _texts(value, name in secret or sounds_secret(str(name)))


def _texts(value: Any, secret: bool) -> Iterable[str]:
    """Yield the texts in a value that are secret; numbers below four digits tell nothing."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, secret or sounds_secret(str(name)))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, secret)
    elif secret and value is not None and not isinstance(value, bool):
        text = str(value) if isinstance(value, str | int | float) else ""
        if text and (isinstance(value, str) or len(text) > 3):
            yield text
