"""What the Homie Convention 5.0 asks of a description and of payloads, as far as a node uses it.

Source: github.com/homieiot/convention, convention.md. Written from its text and not from the code
that it judges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

ID = re.compile(r"[a-z0-9-]+")
DATATYPES = (
    *("integer", "float", "boolean", "string", "enum", "color", "datetime", "duration", "json"),
)
DEVICE_KEYS = {
    *("homie", "version", "nodes", "name", "type", "children", "root", "parent", "extensions"),
}
NODE_KEYS = {"name", "type", "properties"}
PROPERTY_KEYS = {"name", "datatype", "format", "settable", "retained", "unit"}
NUMBER = {
    "integer": r"-?[0-9]+",
    "float": r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]-?[0-9]+)?",
}


def description_problems(document: Any) -> list[str]:
    """Return what is against the convention in a description of a root device."""
    return list(_device(document))


def value_problem(described: dict[str, Any], payload: bytes) -> str:
    """Return what is wrong with the value of a property; nothing if it may be published."""
    text = payload.decode("utf-8")
    format = described.get("format", "")
    match described["datatype"]:
        case "integer" | "float" as kind:
            return _number_problem(kind, format, text)
        case "boolean":
            fine = text in ("true", "false")
        case "enum":
            fine = text in format.split(",")
        case "string":
            fine = bool(text)  # the empty one is a zero byte
        case "json":
            fine = isinstance(json.loads(text), dict | list)
        case _:
            fine = bool(text)
    return "" if fine else f"{text!r} is no {described['datatype']} of {format!r}"


def _number_problem(kind: str, format: str, text: str) -> str:
    if not re.fullmatch(NUMBER[kind], text):
        return f"{text!r} is no {kind}"
    if kind == "integer" and not -(2**63) <= int(text) < 2**63:
        return f"{text!r} has more than 64 bits"
    low, high = [*format.split(":"), "", ""][:2]
    if (low and float(text) < float(low)) or (high and float(text) > float(high)):
        return f"{text} is not in {format}"
    return ""


def _device(document: Any) -> Iterator[str]:
    if not isinstance(document, dict):
        yield "is no object"
        return
    yield from _unknown("device", document, DEVICE_KEYS)
    if not re.fullmatch(r"5\.[0-9]+", str(document.get("homie"))):
        yield f"homie: {document.get('homie')!r}"
    if type(document.get("version")) is not int:
        yield f"version: {document.get('version')!r}"
    if "root" in document or "parent" in document:
        yield "a root device has no root and no parent"
    yield from _texts("device", document, ("name", "type"))
    for id, node in document.get("nodes", {}).items():
        yield from _id(id)
        yield from _unknown(id, node, NODE_KEYS)
        yield from _texts(id, node, ("name", "type"))
        for name, each in node.get("properties", {}).items():
            yield from _id(name)
            yield from _property(f"{id}/{name}", each)


def _property(where: str, each: dict[str, Any]) -> Iterator[str]:
    yield from _unknown(where, each, PROPERTY_KEYS)
    yield from _texts(where, each, ("name", "format", "unit"))
    for key in ("settable", "retained"):
        if not isinstance(each.get(key, True), bool):
            yield f"{where}.{key}: {each[key]!r}"
    datatype = each.get("datatype")
    if datatype not in DATATYPES:
        yield f"{where}.datatype: {datatype!r}"
        return
    if (problem := _format_problem(datatype, each.get("format"))) != "":
        yield f"{where}.format: {problem}"


def _format_problem(datatype: str, format: str | None) -> str:
    if format is None:
        return "is missing" if datatype in ("enum", "color") else ""
    if datatype in ("integer", "float"):
        number = NUMBER[datatype]
        fine = re.fullmatch(rf"(?:{number})?:(?:{number})?(?::{number})?", format) is not None
    elif datatype == "enum":
        options = format.split(",")
        fine = all(options) and len(set(options)) == len(options)
    elif datatype == "boolean":
        options = format.split(",")
        fine = len(options) == 2 and all(options)
    elif datatype == "json":
        fine = isinstance(json.loads(format), dict)
    else:
        fine = False  # the convention has no format for it
    return "" if fine else repr(format)


def _id(id: str) -> Iterator[str]:
    if not ID.fullmatch(id):
        yield f"{id!r} is no id"


def _unknown(where: str, document: dict[str, Any], known: set[str]) -> Iterator[str]:
    for key in document.keys() - known:
        yield f"{where}: {key} is not in the convention"


def _texts(where: str, document: dict[str, Any], keys: tuple[str, ...]) -> Iterator[str]:
    for key in keys:
        if not isinstance(document.get(key, ""), str):
            yield f"{where}.{key}: {document[key]!r} is no text"
