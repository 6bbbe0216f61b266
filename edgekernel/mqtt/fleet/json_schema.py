"""Values against a JSON Schema: what is wrong with one, and how a text becomes one.

As much of JSON Schema as a node's schema needs. What is not judged here (patterns, formats) the
node judges.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from edgekernel.core.errors import nearest

Schema = Mapping[str, Any]

_MAX_DEPTH = 40
_MAX_VARIANTS = 20
_SWITCH = {"on": True, "off": False, "true": True, "false": False}
_WORDS = {
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_LIMITS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (lambda value, limit: value >= limit, "at least {}"),
    "maximum": (lambda value, limit: value <= limit, "at most {}"),
    "exclusiveMinimum": (lambda value, limit: value > limit, "more than {}"),
    "exclusiveMaximum": (lambda value, limit: value < limit, "less than {}"),
}
_LENGTHS: dict[str, tuple[str, type[str] | type[list[Any]], int]] = {
    "minLength": ("at least {} characters", str, 1),
    "maxLength": ("at most {} characters", str, -1),
    "minItems": ("at least {} items", list, 1),
    "maxItems": ("at most {} items", list, -1),
}


def problems(schema: Schema, value: Any) -> list[str]:
    """Return what is wrong with a value, each as `where: what; what is allowed`."""
    return [f"{path}: {text}" if path else text for path, text in _judge(schema, value, schema)]


def from_text(schema: Schema, text: str, root: Schema) -> Any:
    """Return the value that a text means where a schema is wanted: `on` is true for a switch, `23`
    a text where texts are. What means nothing there is returned as it is, for `problems` to say.

    `root` is the schema in which `$ref` is looked up.
    """
    for each in _variants(schema, root):
        value = _read(each, text)
        if not list(_judge(each, value, root)):
            return value
    return _parsed(text)


def choices(schema: Schema, root: Schema) -> list[str]:
    """Return the texts that are allowed where there are only a few."""
    found: list[str] = []
    for each in _variants(schema, root):
        if each.get("type") == "boolean":
            found += ["on", "off"]
        allowed = [each["const"]] if "const" in each else _list(each, "enum")
        found += [item if isinstance(item, str) else json.dumps(item) for item in allowed]
    return found


def _variants(schema: Schema, root: Schema) -> list[Schema]:
    """Return the schemas of which one has to fit: itself, or those of `anyOf`."""
    return list(islice(_unfolded(schema, root, 0), _MAX_VARIANTS)) or [{}]


def _unfolded(schema: Schema, root: Schema, depth: int) -> Iterator[Schema]:
    schema = _resolved(schema, root)
    several = _list(schema, "anyOf") or _list(schema, "oneOf")
    if not several or depth > _MAX_DEPTH:
        yield schema
        return
    for each in several:
        if isinstance(each, dict):
            yield from _unfolded(each, root, depth + 1)


def _resolved(schema: Schema, root: Schema) -> Schema:
    """Return what a `$ref` refers to; `{}` if that is not there, or refers to itself."""
    for _ in range(_MAX_DEPTH):
        ref = schema.get("$ref")
        if not isinstance(ref, str):
            return schema
        found: Any = root
        for part in ref.removeprefix("#/").split("/"):
            found = found.get(part) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            return {}
        schema = found
    return {}


def _read(schema: Schema, text: str) -> Any:
    kind = schema.get("type")
    if kind == "string":
        return text
    if kind == "boolean":
        return _SWITCH.get(text.lower(), text)
    if kind is None and text in _list(schema, "enum"):
        return text
    return _parsed(text)


def _parsed(text: str) -> Any:
    """Read JSON where it is JSON; else it is a text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _judge(
    schema: Schema, value: Any, root: Schema, path: str = "", depth: int = 0
) -> Iterator[tuple[str, str]]:
    if depth > _MAX_DEPTH:
        return
    variants = _variants(schema, root)
    if len(variants) == 1:
        yield from _judge_one(variants[0], value, root, path, depth)
        return
    judged = [list(_judge_one(each, value, root, path, depth)) for each in variants]
    if all(judged):
        allowed = " or ".join(dict.fromkeys(_allowed(each) for each in variants))
        deep = [found for found in judged if found[0][0] != path]  # the right kind, with a mistake
        yield from deep[0] if deep else [(path, f"{_shown(value)} is not allowed; {allowed} is")]


def _judge_one(
    schema: Schema, value: Any, root: Schema, path: str, depth: int
) -> Iterator[tuple[str, str]]:
    if not _is_kind(schema, value) or not _is_chosen(schema, value):
        yield path, f"{_shown(value)} is not allowed; {_allowed(schema)} is allowed"
        return
    yield from ((path, text) for text in _limits(schema, value))
    if isinstance(value, list):
        items = _table(schema, "items")
        for index, each in enumerate(value):
            yield from _judge(items, each, root, f"{path}[{index}]", depth + 1)
    if isinstance(value, dict):
        yield from _judge_object(schema, value, root, path, depth)


def _judge_object(
    schema: Schema, value: Mapping[str, Any], root: Schema, path: str, depth: int
) -> Iterator[tuple[str, str]]:
    known = _table(schema, "properties")
    others = schema.get("additionalProperties", True)
    below = f"{path}." if path else ""
    for name, each in value.items():
        if name in known:
            yield from _judge(_table(known, name), each, root, below + name, depth + 1)
        elif others is False:
            yield below + name, f"there is no such argument{nearest(name, known)}"
        elif isinstance(others, dict):
            yield from _judge(others, each, root, below + name, depth + 1)
    for name in _list(schema, "required"):
        if isinstance(name, str) and name not in value:
            yield below + name, "is missing; it is required"


def _is_kind(schema: Schema, value: Any) -> bool:
    kinds = [kind for kind in _kinds(schema) if kind in _WORDS]
    return not kinds or any(_is(kind, value) for kind in kinds)


def _kinds(schema: Schema) -> list[str]:
    kinds = _list(schema, "type") or [schema.get("type")]
    return [kind for kind in kinds if isinstance(kind, str)]


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int):
        return kind in ("integer", "number")
    if isinstance(value, float):
        return kind == "number"
    kinds = {str: "string", list: "array", dict: "object", type(None): "null"}
    return kinds.get(type(value)) == kind


def _is_chosen(schema: Schema, value: Any) -> bool:
    if "const" in schema:
        return bool(schema["const"] == value)
    allowed = _list(schema, "enum")
    return not allowed or value in allowed


def _limits(schema: Schema, value: Any) -> Iterator[str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        for key, (holds, words) in _LIMITS.items():
            limit = schema.get(key)
            if isinstance(limit, int | float) and not holds(value, limit):
                yield f"{_shown(value)} is not allowed; {words.format(limit)} is allowed"
    for key, (words, kind, sign) in _LENGTHS.items():
        limit = schema.get(key)
        if isinstance(value, kind) and isinstance(limit, int) and sign * (len(value) - limit) < 0:
            yield f"{_shown(value)} is not allowed; {words.format(limit)} are allowed"


def _allowed(schema: Schema) -> str:
    if "const" in schema:
        return _shown(schema["const"])
    if allowed := _list(schema, "enum"):
        return " or ".join(map(_shown, allowed))
    return " or ".join(_WORDS.get(kind, kind) for kind in _kinds(schema))


def _list(schema: Schema, key: str) -> list[Any]:
    found = schema.get(key)
    return found if isinstance(found, list) else []


def _table(schema: Schema, key: str) -> dict[str, Any]:
    found = schema.get(key)
    return found if isinstance(found, dict) else {}


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."
