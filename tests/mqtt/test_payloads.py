"""Requests and replies."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.mqtt.payloads import (
    MAX_BYTES,
    ExpiredError,
    Heartbeat,
    PayloadError,
    ReplyAddress,
    Request,
    error_payload,
    parse_call,
    parse_lease,
    parse_set,
    result_payload,
)

NOBODY = ReplyAddress()


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        ("on", "on"),
        (" OFF\n", "OFF"),
        ("21.5", 21.5),
        ("-3", -3),
        ("true", True),
        ("1e3", 1000.0),
        ('"21.5"', "21.5"),
        ("two words", "two words"),
        ('{"value": "on"}', "on"),
        ('{"value": 0}', 0),
    ],
)
def test_a_value_is_read_plain_or_from_an_object(payload: str, value: object) -> None:
    """A JSON scalar is that, other text is a text, an object holds it as value."""
    request = parse_set(payload.encode())
    assert (request.content, type(request.content)) == (value, type(value))
    assert request.reply == NOBODY


def test_id_and_reply_topic_come_along() -> None:
    """What is needed for the reply is read from both kinds of requests."""
    address = ReplyAddress("edge/n1/reply/me", "a7")
    for parse, key, content in ((parse_set, "value", 3), (parse_call, "args", {"x": 1})):
        document = {key: content, "id": "a7", "reply_to": "edge/n1/reply/me"}
        assert parse(json.dumps(document).encode()) == Request(content, address)


def test_a_heartbeat_needs_nothing() -> None:
    """A lease's payload may be empty, or say who holds it or gives it up."""
    assert parse_lease(b"") == parse_lease(b"{}") == Request(Heartbeat(), NOBODY)
    document = b'{"holder": "a", "release": true, "id": 1}'
    assert parse_lease(document) == Request(Heartbeat("a", True), ReplyAddress(None, 1))


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"[]", "not an object"),
        (b'{"holder": 1}', "'holder' must be a text"),
        (b'{"release": "yes"}', "'release' must be true or false"),
        (b'{"released": true}', "did you mean 'release'?"),
    ],
)
def test_a_wrong_heartbeat_says_why(payload: bytes, text: str) -> None:
    """What is no heartbeat is refused with what is wrong."""
    with pytest.raises(PayloadError) as caught:
        parse_lease(payload)
    assert text in str(caught.value)


def test_a_call_needs_no_arguments() -> None:
    """An empty payload and an object without args are calls without arguments."""
    assert parse_call(b"") == Request({}, NOBODY)
    assert parse_call(b'{"id": 1}') == Request({}, ReplyAddress(None, 1))


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "empty payload"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"value": 1', "not JSON"),
        (b'"on', "not JSON"),
        (b"[1]", "a list is no value"),
        (b"null", "null is no value"),
        (b"NaN", "NaN is no number"),
        (b"-Infinity", "-Infinity is no number"),
        (b"1e999", "1e999 is no number"),
        (b"9" * 30, "too large"),
        (b'{"value": NaN}', "NaN is no number"),
        (b"{}", "'value' is missing"),
        (b'{"valeu": 1}', "unknown key 'valeu'; did you mean 'value'?"),
        (b'{"value": 1, "value": 2}', "the same key twice"),
        (b'{"value": null}', "'value' must be"),
        (b'{"value": [1]}', "'value' must be"),
        (b'{"value": 1, "id": [1]}', "'id' must be"),
        (b'{"value": 1, "id": true}', "'id' must be"),
        (b'{"value": 1, "reply_to": 5}', "'reply_to' must be a topic"),
        (b"[" * 60_000, "nested too deeply"),
        (b'"' + b"a" * MAX_BYTES + b'"', "a request has at most"),
    ],
)
def test_a_wrong_set_says_what_is_wrong(payload: bytes, problem: str) -> None:
    """Every mistake has its own text."""
    with pytest.raises(PayloadError) as caught:
        parse_set(payload)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"boost", "not JSON"),
        (b"[]", "not an object"),
        (b"5", "not an object"),
        (b'{"args": [1]}', "'args' must be an object"),
        (b'{"args": {}, "arg": 1}', "unknown key 'arg'; did you mean 'args'?"),
        (b'{"minutes": 5}', "unknown key 'minutes'"),
        (b'{"args": {"x": NaN}}', "NaN is no number"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(payload: bytes, problem: str) -> None:
    """Every mistake has its own text."""
    with pytest.raises(PayloadError) as caught:
        parse_call(payload)
    assert problem in str(caught.value)


def test_a_refused_payload_still_tells_where_to_reply() -> None:
    """Who made a mistake beside a good id and reply_to learns of it."""
    with pytest.raises(PayloadError) as caught:
        parse_set(b'{"valu": 1, "id": 5, "reply_to": "edge/n1/reply/me"}')
    assert caught.value.reply == ReplyAddress("edge/n1/reply/me", 5)


_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
_KEYS = ["value", "args", "holder", "release", "id", "reply_to", "x"]
_FIELDS = st.dictionaries(st.sampled_from(_KEYS), _DOCUMENTS)


@given(st.binary() | (_DOCUMENTS | _FIELDS).map(lambda d: json.dumps(d).encode()))
def test_no_bytes_crash_the_parsers(payload: bytes) -> None:
    """Whatever arrives is a request or a PayloadError, and what it says fits into a reply."""
    for parse in (parse_set, parse_call, parse_lease):
        try:
            reply = parse(payload).reply
        except PayloadError as error:
            reply = error.reply
        assert isinstance(json.loads(error_payload(reply.id, "invalid", "x")), dict)


def test_replies_have_the_form_of_the_topic_map() -> None:
    """A reply carries the id and either the result or code and message."""
    done: dict[str, Any] = {"id": 7, "ok": True, "result": {"a": [1]}}
    assert json.loads(result_payload(7, {"a": [1]})) == done
    refused = {"id": "x", "ok": False, "error": {"code": "unknown", "message": "no lamp"}}
    assert json.loads(error_payload("x", "unknown", "no lamp")) == refused


@pytest.mark.parametrize("parse", [parse_set, parse_call])
@pytest.mark.parametrize(
    ("issued_at", "ttl", "expires"),
    [
        ("2026-01-31T12:00:00Z", 5, "2026-01-31T12:00:05+00:00"),
        ("2026-01-31T13:00:00.5+01:00", 0.5, "2026-01-31T12:00:01+00:00"),
        ("2026-01-31T12:00:00Z", None, None),
        (None, 5, None),
    ],
)
def test_a_request_expires(
    parse: Callable[[bytes], Request], issued_at: str | None, ttl: float | None, expires: str | None
) -> None:
    """A request expires `ttl` seconds after `issued_at`; with one of them only, it does not."""
    key = "value" if parse is parse_set else "args"
    document: dict[str, object] = {
        key: {} if key == "args" else 1,
        "issued_at": issued_at,
        "ttl": ttl,
    }
    made = parse(json.dumps(document).encode())
    assert made.expires == (expires and datetime.fromisoformat(expires))


def test_a_request_is_fresh_until_it_expires() -> None:
    """At the end of its time a request is still good, after it an error says by how much."""
    end = datetime(2026, 1, 31, 12, tzinfo=UTC)
    request = Request(1, NOBODY, end)
    request.check_fresh(end)
    with pytest.raises(ExpiredError, match=r"expired 3\.0 s ago"):
        request.check_fresh(end + timedelta(seconds=3))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("issued_at", each) for each in (5, "noon", "2026-01-31T12:00:00", "", True)),
        *(("ttl", each) for each in ("5", True, 0, -1, 1e12, [5])),
    ],
)
def test_a_wrong_time_is_invalid(field: str, value: object) -> None:
    """What is no time or no length of time is refused, with the key, and answered."""
    document = {"value": 1, "id": 7, field: value}
    with pytest.raises(PayloadError, match=f"'{field}' must be") as caught:
        parse_set(json.dumps(document).encode())
    assert caught.value.reply.id == 7


@given(st.text(), st.floats() | st.integers())
def test_no_time_raises_anything_else(issued_at: str, ttl: float) -> None:
    """Whatever a client writes as times, it is a request or a PayloadError."""
    for instant in (issued_at, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"):
        document: dict[str, object] = {"value": 1, "issued_at": instant, "ttl": ttl}
        with suppress(PayloadError):
            parse_set(json.dumps(document).encode())
