"""Mistakes in sentences: which file, which key, which value, what is allowed instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from edgekernel.core.errors import nearest

_WORDS = {
    "bool_type": "true or false is allowed",
    "bool_parsing": "true or false is allowed",
    "dict_type": "a table is allowed",
    "model_type": "a table is allowed",
    "float_type": "a number is allowed",
    "float_parsing": "a number is allowed",
    "finite_number": "a finite number is allowed",
    "int_type": "an integer is allowed",
    "int_parsing": "an integer is allowed",
    "list_type": "a list is allowed",
    "string_type": "a text in quotes is allowed",
    "greater_than": "more than {gt} is allowed",
    "greater_than_equal": "at least {ge} is allowed",
    "less_than": "less than {lt} is allowed",
    "less_than_equal": "at most {le} is allowed",
    "date_from_datetime_parsing": 'a date such as "2026-01-31" is allowed',
    "date_parsing": 'a date such as "2026-01-31" is allowed',
    "date_type": 'a date such as "2026-01-31" is allowed',
    "string_pattern_mismatch": "1 to 64 characters of a-z, 0-9 and - are allowed",
}


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return the nearest known name as a question, or what there is."""
    return nearest(wrong, sorted(known)).removeprefix("; ")


Location = tuple[int | str, ...]


def dotted(location: Location) -> str:
    """Return where something stands in a file; what has no name is counted, from 1."""
    named = (part for part in location if part != "[key]")  # what is wrong is a key
    return ".".join(str(part + 1 if isinstance(part, int) else part) for part in named)


def in_json(location: Location) -> str:
    """Return where something stands in JSON, such as `windows[0].begin`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def explain(
    error: ValidationError, keys: Iterable[str], place: Callable[[Location], str] = dotted
) -> list[tuple[str, str]]:
    """Turn a validation error into pairs of key, as `place` writes it, and sentence.

    `keys` are the keys that are known where an unknown one was found.
    """
    known = list(keys)
    return [(place(detail["loc"]), _sentence(detail, known)) for detail in error.errors()]


def show(value: Any) -> str:
    """Return a value as it stands in a TOML file, shortened, without secrets in it."""
    value = _without_secrets(value)
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = f'"{value}"' if isinstance(value, str) else repr(value)
    except ValueError:  # an integer with more digits than Python writes
        text = hex(value) if isinstance(value, int) else "this"
    return text if len(text) <= 60 else text[:57] + "..."


def is_secret(key: object) -> bool:
    """Say whether the value of a key must not be shown."""
    return str(key).lower().endswith(("password", "secret", "token"))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: "..." if is_secret(k) else _without_secrets(v) for k, v in value.items()}
    return [_without_secrets(each) for each in value] if isinstance(value, list) else value


def _sentence(detail: ErrorDetails, known: list[str]) -> str:
    kind = detail["type"]
    shown = "its value" if any(map(is_secret, detail["loc"])) else show(detail["input"])
    if kind == "missing":
        return "is missing; this key is required"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        *outside, key = detail["loc"]
        if outside:  # in a setting, the keys of which are not known here
            return "unknown key"
        return f"unknown key; {did_you_mean(str(key), known)}"
    context = detail.get("ctx", {})
    if kind == "value_error":
        return f"{shown}: {context['error']}"
    if kind == "literal_error":
        allowed = f"{context['expected']} is allowed"
    elif kind in _WORDS:
        allowed = _WORDS[kind].format(**context)
    else:
        allowed = re.sub(r"^Input should be ", "", detail["msg"]) + " is allowed"
    text = f"{shown} is not allowed; {allowed}"
    if detail["loc"][-1] == "address":  # chips are known by hexadecimal addresses
        text = re.sub(r"\b\d+\b", lambda number: f"{int(number[0]):#04x}", text)
    return text
