"""Secrets in the documents of a node: what must not be kept, sent or shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekernel.core.masking import HIDDEN, sounds_secret


def is_secret(path: tuple[str, ...], value: Any) -> bool:
    """Say whether a value is a secret itself, and not the name of a file with one."""
    if not sounds_secret(path[-1]) or not isinstance(value, str) or value == HIDDEN:
        return False
    names_a_file = path[-1].endswith("_file") or (path[0] == "mqtt" and "tls" in path)
    return not names_a_file


def without_secrets(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a document without its secrets, and the keys that were left out."""
    left_out: list[str] = []
    made: dict[str, Any] = _without(document, (), left_out)
    return made, left_out


def with_secrets(document: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the secrets that another one has at the same places."""
    return _with(document, own, ())


def _without(value: Any, path: tuple[str, ...], left_out: list[str]) -> Any:
    if isinstance(value, list):
        return [_without(each, path, left_out) for each in value]
    if not isinstance(value, Mapping):
        return value
    made: dict[str, Any] = {}
    for key, each in value.items():
        if is_secret((*path, key), each):
            left_out.append(".".join((*path, key)))
        else:
            made[key] = _without(each, (*path, key), left_out)
    return made


def _with(
    document: Mapping[str, Any], own: Mapping[str, Any], path: tuple[str, ...]
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in document.items():
        theirs = own.get(key)
        if isinstance(value, Mapping) and isinstance(theirs, Mapping):
            made[key] = _with(value, theirs, (*path, key))
        else:
            made[key] = value
    for key, value in own.items():
        if is_secret((*path, key), value):
            made.setdefault(key, value)
    return made
