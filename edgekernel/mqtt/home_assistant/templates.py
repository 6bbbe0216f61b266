"""Jinja templates for Home Assistant: what our JSON says to it, and what it says to us.

Home Assistant renders a state template with `value`, the payload of the state topic, and
`value_json`, the same as JSON, and takes "None" for unknown; it renders a command template with
`value`.
"""

from __future__ import annotations

from edgekernel.mqtt.layout import Form
from edgekernel.mqtt.plain import NO_TEXT, ON, UNAVAILABLE

ONLINE = "{{ 'offline' if value_json.state == 'offline' else 'online' }}"
"""Of the node's status: degraded and safe nodes still answer."""

ANSWERS = "{{ 'online' if value_json.online else 'offline' }}"
"""Of a device's state."""

_MAX_TEXT = 255
"""Characters of a state in Home Assistant."""


PLAINLY_ANSWERS = "{{ value }}"
"""Of a device's state where payloads are plain."""

_TYPED = {
    "bool": f"value == {ON.decode()!r}",
    "int": "value | int(0)",
    "float": "value | float(0)",
    "str": f"('' if value == {NO_TEXT.decode()!r} else value)",
}


def signal_in(form: Form, name: str, type: str) -> str:
    """Return the beginning of a template that reads a signal of this name and type, as `s`."""
    if not form.by_signal:
        return f"{{% set s = value_json[{name!r}] %}}"
    if not form.plain:
        return "{% set s = value_json %}"
    quality = f"'bad' if value == {UNAVAILABLE.decode()!r} else 'good'"
    return f"{{% set s = {{'quality': {quality}, 'value': {_TYPED[type]}}} %}}"


def number(signal: str) -> str:
    """Return the template of a number's state; it is unknown while the quality is BAD.

    Here and below `signal` is what `signal_in` returns.
    """
    return _state(signal, "s.value")


def text(signal: str) -> str:
    """Return the template of a text's state, of which Home Assistant takes the beginning."""
    return _state(signal, f"s.value[:{_MAX_TEXT}]")


def switch(signal: str, on: str = "ON", off: str = "OFF") -> str:
    """Return the template of a state that is on or off."""
    return _state(signal, f"({on!r} if s.value else {off!r})")


def lit(signal: str, low: float) -> str:
    """Return the template that says whether a dimmed lamp is lit: above its lowest value."""
    return _state(signal, f"('on' if s.value > {low:g} else 'off')")


def brightness(signal: str, low: float, high: float) -> str:
    """Return the template of the brightness, 0 to 255, of an output with this range."""
    share = f"((s.value - {low:g}) / {high - low:g} * 255) | round | int"
    return f"{signal}{{{{ 0 if s.quality == 'bad' else {share} }}}}"


def dim(low: float, high: float, *, whole: bool) -> str:
    """Return the JSON of the value for a brightness, or of the highest without one."""
    share = f"{low:g} + brightness / 255 * {high - low:g}"
    rounded = f"({share}) | round({0 if whole else 4}){' | int' if whole else ''}"
    return f"{{{{ {rounded} if brightness is defined else {high:g} }}}}"


SWITCHED = "{{ 'true' if value == 'ON' else 'false' }}"
NUMBER = "{{ value }}"
WHOLE = "{{ value | int }}"
TEXT = "{{ value | to_json }}"
"""The JSON of a value that Home Assistant gives."""


def set_request(value: str, ttl_s: float) -> str:
    """Return the payload that sets an output; `value` is JSON or the template of it."""
    return _request(f'"value":{value}', ttl_s)


def call_request(arguments: dict[str, str], ttl_s: float) -> str:
    """Return the payload of a call; `arguments` are JSON, or templates of it, by name."""
    inside = ",".join(f'"{name}":{value}' for name, value in arguments.items())
    return _request(f'"args":{{{inside}}}', ttl_s)


def _request(content: str, ttl_s: float) -> str:
    """Return a request that counts once, even if it comes twice, and not too late."""
    lasting = f',"issued_at":"{{{{ utcnow().isoformat() }}}}","ttl":{ttl_s:g}' if ttl_s else ""
    return f'{{{content},"id":"ha-{{{{ utcnow().timestamp() }}}}"{lasting}}}'


def events(device: str, types: dict[str, str]) -> str:
    """Return the template of a device's events: `types` are their names here by those of the
    messages. What is of another device or name is none of them."""
    mine = f"value_json.fields.device == {device!r} and value_json.name in types"
    return f"{{% set types = {types!r} %}}{_told(mine, 'types[value_json.name]')}"


def event(name: str) -> str:
    """Return the template of an event that is of no device."""
    return _told(f"value_json.name == {name!r}", repr(name))


def _told(mine: str, type: str) -> str:
    fields = f"dict(value_json.fields, event_type={type}, time=value_json.time)"
    return f"{{% if {mine} %}}{{{{ {fields} | to_json }}}}{{% endif %}}"


def _state(signal: str, value: str) -> str:
    return f"{signal}{{{{ None if s.quality == 'bad' else {value} }}}}"
