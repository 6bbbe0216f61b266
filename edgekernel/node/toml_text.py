"""A document as TOML, as a node file is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b"}


def to_toml(document: Mapping[str, Any]) -> str:
    """Return a document that `tomllib` reads as the same; None is left out, as TOML has none.

    Tables two levels deep have a head of their own, as in `[devices.fan]`; deeper ones are inline.
    Raises ValueError for what TOML does not have.
    """
    return "\n".join(_tables(document, ())).strip("\n") + "\n"


def _tables(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    own = {key: each for key, each in table.items() if not _heads(each, path)}
    if path and (own or not table):
        yield f"\n[{'.'.join(map(_key, path))}]"
    yield from (
        f"{_key(key)} = {toml_value(each)}" for key, each in own.items() if each is not None
    )
    for key, each in table.items():
        if _heads(each, path):
            yield from _tables(each, (*path, key))


def _heads(value: object, path: tuple[str, ...]) -> bool:
    """Say whether a value has a head of its own."""
    if not isinstance(value, Mapping):
        return False
    return not path or (len(path) == 1 and path[0] in ("devices", "buses", "leases"))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def toml_value(value: Any) -> str:
    """Return a value as it stands behind a key. Raises ValueError for what TOML does not have."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        inside = (
            f"{_key(key)} = {toml_value(each)}" for key, each in value.items() if each is not None
        )
        return f"{{ {', '.join(inside)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    raise ValueError(f"TOML has no {type(value).__name__}")


def _text(text: str) -> str:
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x20 or code == 0x7F else character
