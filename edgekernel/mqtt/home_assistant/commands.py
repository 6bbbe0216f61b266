"""Commands, as buttons, numbers, switches, selects and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekernel.mqtt.home_assistant import templates
from edgekernel.mqtt.home_assistant.entity import QOS, Entity, Platform, key
from edgekernel.mqtt.home_assistant.numbers import limits
from edgekernel.mqtt.home_assistant.settings import HomeAssistant
from edgekernel.mqtt.topics import Topics

Schema = Mapping[str, Any]
_MAX_TEXT = 255


class NotShownError(ValueError):
    """A command that no entity can call; the text says why."""


def command_entity(
    component: str, name: str, schema: Schema, topics: Topics, settings: HomeAssistant, shown: str
) -> Entity:
    """Return the entity that calls a command.

    A command without arguments is a button. One with one argument is a number, a switch, a select
    or a text by the argument's type, and calls when it is set; it shows what was asked last. One
    whose arguments can all be left out is a button that leaves them out. A destructive one is there
    but not enabled. Raises NotShownError for every other one.
    """
    ttl_s = settings.command_ttl_s
    platform, own = _form(schema, ttl_s)
    config: dict[str, Any] = {
        "name": shown,
        "command_topic": topics.call(component, name),
        "qos": QOS,
        **own,
    }
    if schema.get("destructive"):
        config["enabled_by_default"] = False
    return Entity(platform, key(component, "call", name), config)


def _form(schema: Schema, ttl_s: float) -> tuple[Platform, dict[str, Any]]:
    arguments = schema["arguments"]
    properties: dict[str, Schema] = arguments.get("properties", {})
    required = arguments.get("required", [])
    if secret := sorted(set(schema.get("secret", ())) & set(required)):
        raise NotShownError(f"{secret[0]} is secret, and Home Assistant shows what it sends")
    if len(properties) == 1:
        [(argument, each)] = properties.items()
        typed = _resolved(each, arguments.get("$defs", {}))
        if argument not in schema.get("secret", ()) and (
            made := _of_one(argument, typed, argument in required, ttl_s)
        ):
            return made
    if required:
        raise NotShownError(
            f"{', '.join(required)} cannot be given: an entity gives one number, text, choice or "
            "true or false"
        )
    return "button", {"command_template": templates.call_request({}, ttl_s)}


def _of_one(
    argument: str, typed: Schema, required: bool, ttl_s: float
) -> tuple[Platform, dict[str, Any]] | None:
    """Return the form for one argument of this type; None if there is none."""

    def calling(value: str) -> str:
        return templates.call_request({argument: value}, ttl_s)

    options = typed.get("enum")
    if options and all(isinstance(each, str) for each in options):
        return "select", {"options": options, "command_template": calling(templates.TEXT)}
    match typed.get("type"):
        case "integer" | "number" as kind if not options:
            whole = kind == "integer"
            value = templates.WHOLE if whole else templates.NUMBER
            chosen = limits(_range(typed, whole=whole), whole=whole)
            return "number", {**chosen, "command_template": calling(value)}
        case "boolean":
            return "switch", {"command_template": calling(templates.SWITCHED)}
        case "string" if required and "format" not in typed:
            return "text", {"command_template": calling(templates.TEXT), **_lengths(typed)}
    return None


def _resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return the type of an argument without references, and without the choice to give none."""
    if reference := schema.get("$ref"):
        return _resolved(definitions.get(reference.removeprefix("#/$defs/"), {}), definitions)
    if choices := schema.get("anyOf"):
        some = [each for each in choices if each.get("type") != "null"]
        return _resolved(some[0], definitions) if len(some) == 1 else {}
    return {**schema, "enum": [schema["const"]]} if "const" in schema else schema


def _range(typed: Schema, *, whole: bool) -> tuple[float | None, float | None]:
    """Return the limits of a number; one that is itself not allowed is left to the node."""
    beyond = 1 if whole else 0
    low, high = typed.get("minimum"), typed.get("maximum")
    if low is None and (below := typed.get("exclusiveMinimum")) is not None:
        low = below + beyond
    if high is None and (above := typed.get("exclusiveMaximum")) is not None:
        high = above - beyond
    return low, high


def _lengths(typed: Schema) -> dict[str, Any]:
    """Return how long a text may be; Home Assistant takes 255 characters at most."""
    most = {"max": min(_MAX_TEXT, typed.get("maxLength", _MAX_TEXT))}
    return most | ({"min": typed["minLength"]} if "minLength" in typed else {})
