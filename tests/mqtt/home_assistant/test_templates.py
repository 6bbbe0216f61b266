"""Templates: what Home Assistant sends is what a node takes.

Home Assistant renders them in tests/home_assistant; here what it puts in is put in.
"""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel.mqtt.home_assistant import templates
from edgekernel.mqtt.layout import TOGETHER
from edgekernel.mqtt.payloads import parse_call, parse_set

NOW = "2026-11-28T20:00:00.123456+00:00"


def rendered(template: str, value: str = "") -> bytes:
    """Return a request as Home Assistant sends it; `value` is the JSON that it puts in."""
    put_in = {
        "{{ utcnow().isoformat() }}": NOW,
        "{{ utcnow().timestamp() }}": "1795896000.123456",
        templates.NUMBER: value,
        templates.WHOLE: value,
        templates.TEXT: value,
        templates.SWITCHED: value,
    }
    for expression, text in put_in.items():
        template = template.replace(expression, text)
    assert "{{" not in template
    return template.encode()


@pytest.mark.parametrize(
    ("form", "value", "content"),
    [
        (templates.SWITCHED, "true", True),
        (templates.NUMBER, "21.5", 21.5),
        (templates.WHOLE, "7", 7),
        (templates.TEXT, '"a \\"b\\""', 'a "b"'),
    ],
)
def test_a_node_takes_what_is_set(form: str, value: str, content: Any) -> None:
    """With an id, so that it counts once, and an end."""
    request = parse_set(rendered(templates.set_request(form, 30), value))
    assert request.content == content
    assert request.reply.id == "ha-1795896000.123456"
    assert request.expires is not None
    assert request.expires.isoformat() == "2026-11-28T20:00:30.123456+00:00"


def test_a_node_takes_what_is_called() -> None:
    """With the arguments by name; without a time to live it does not expire."""
    template = templates.call_request({"minutes": templates.WHOLE}, 0)
    request = parse_call(rendered(template, "10"))
    assert request.content == {"minutes": 10}
    assert request.expires is None
    assert parse_call(rendered(templates.call_request({}, 30))).content == {}


def test_names_are_quoted() -> None:
    """Whatever a signal is called, it stays a text inside the template."""
    assert "value_json['a\\'b\"c']" in templates.signal_in(TOGETHER, "a'b\"c", "float")
    assert "value_json['items']" in templates.signal_in(TOGETHER, "items", "float")
