"""Requests and replies: what a set or call payload says, strictly, and how it is answered."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import InvalidValueError, UnavailableError, nearest
from edgekernel.mqtt.encoding import encode
from edgekernel.mqtt.transport import NOTHING_BESIDE, Properties

if TYPE_CHECKING:
    from edgekernel.mqtt.freshness import Stamp
    from edgekernel.mqtt.repeated import Kept

PRINCIPAL = "mqtt"
"""Who asks, for the authorizer, if it is not signed: MQTT does not say whose a message is."""

MAX_BYTES = 65_536
_MAX_ID = 128
_MAX_DIGITS = 20  # more than 64 bits hold
_MAX_TTL_S = 366 * 86400
_COMMON_KEYS = ("id", "reply_to", "issued_at", "ttl")

RequestId = str | int | None


@dataclass(frozen=True, slots=True)
class ReplyAddress:
    """Where a reply goes and which id it carries, as the client wrote it: not yet checked."""

    topic: str | None = None
    id: RequestId = None
    kept: Kept | None = None
    """What is remembered of the request, in case it comes again."""
    principal: str = PRINCIPAL
    """Who asks: who has signed it, or whoever may publish."""
    repeats: tuple[ReplyAddress, ...] = ()
    """Those of the same request, come again before it was answered."""
    beside: Properties = NOTHING_BESIDE
    """What goes back beside the payload of the reply."""


@dataclass(slots=True)
class Request:
    """A well-formed request: the value to set, or the arguments of a call."""

    content: Any
    reply: ReplyAddress
    expires: datetime | None = None
    stamp: Stamp | None = None
    """Who has signed it, and when; None if nobody has."""
    until_ns: int | None = None
    """Until which monotonic time it counts, by its message expiry."""
    ttl_s: float = 0.0
    """For how long it counts, if it expires."""

    def check_expiry(self, now_ns: int) -> None:
        """Raise ExpiredError if its message expiry was over while it waited for its turn."""
        if self.until_ns is not None and now_ns > self.until_ns:
            late_s = (now_ns - self.until_ns) / NANOSECONDS
            raise ExpiredError(f"expired {late_s:.1f} s ago, by its message expiry interval")

    def check_waited(self, waited_ns: int) -> None:
        """Raise ExpiredError if it has waited here for longer than it counts at all."""
        if self.expires is not None and waited_ns > self.ttl_s * NANOSECONDS:
            late_s = waited_ns / NANOSECONDS - self.ttl_s
            raise ExpiredError(f"expired {late_s:.1f} s ago: it has waited for longer than its ttl")

    def check_fresh(self, now: datetime) -> None:
        """Raise ExpiredError if it was to be carried out before `now`."""
        if self.expires is not None and now > self.expires:
            late_s = (now - self.expires).total_seconds()
            raise ExpiredError(
                f"expired {late_s:.1f} s ago: issued_at + ttl is {self.expires.isoformat()}, "
                f"and it is {now.isoformat()} here"
            )


class ExpiredError(UnavailableError):
    """The request came later than its client wants it to be carried out."""

    code = "expired"


class PayloadError(InvalidValueError):
    """A payload is no request; `reply` is what could still be read of where to say so."""

    def __init__(self, text: str, reply: ReplyAddress | None = None) -> None:
        super().__init__(text)
        self.reply = reply or ReplyAddress()


def parse_set(payload: bytes) -> Request:
    """Read `{"value": ..., "id": ..., "reply_to": ...}` or a plain value such as `on` or `21.5`.

    With `issued_at` (ISO 8601) and `ttl` (seconds) it expires; either without the other says
    nothing about that.

    Raises PayloadError that says what is wrong; never anything else, whatever the bytes.
    """
    text = _text(payload)
    if not text:
        raise PayloadError("empty payload: expected a value")
    if text[0] not in '{["':
        return Request(_scalar(text), ReplyAddress())
    document = _json(text)
    if isinstance(document, str):
        return Request(document, ReplyAddress())
    if not isinstance(document, dict):
        raise PayloadError("a list is no value: expected a text, a number, true or false")
    reply = _reply(document, ("value", *_COMMON_KEYS))
    expires, ttl_s = _expires(document, reply)
    if "value" not in document:
        raise PayloadError("'value' is missing", reply)
    value = document["value"]
    if not isinstance(value, str | bool | int | float):
        raise PayloadError("'value' must be a text, a number, true or false", reply)
    return Request(value, reply, expires, ttl_s=ttl_s)


def parse_call(payload: bytes) -> Request:
    """Read `{"args": {...}, "id": ..., "reply_to": ...}`; an empty payload has no arguments.

    It expires as a set does.

    Raises PayloadError that says what is wrong; never anything else, whatever the bytes.
    """
    text = _text(payload)
    if not text:
        return Request({}, ReplyAddress())
    document = _json(text)
    if not isinstance(document, dict):
        raise PayloadError('not an object: expected {"args": {...}} or nothing')
    reply = _reply(document, ("args", *_COMMON_KEYS))
    expires, ttl_s = _expires(document, reply)
    args = document.get("args", {})
    if not isinstance(args, dict):
        raise PayloadError("'args' must be an object of arguments by name", reply)
    return Request(args, reply, expires, ttl_s=ttl_s)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life of the controller that holds a lease, or that it gives the lease up."""

    holder: str = ""
    release: bool = False


def parse_lease(payload: bytes) -> Request:
    """Read `{"holder": ..., "release": true}`, of which nothing is needed; nor is any payload.

    It expires as a set does.

    Raises PayloadError that says what is wrong; never anything else, whatever the bytes.
    """
    text = _text(payload)
    if not text:
        return Request(Heartbeat(), ReplyAddress())
    document = _json(text)
    if not isinstance(document, dict):
        raise PayloadError('not an object: expected {"holder": ...} or nothing')
    reply = _reply(document, ("holder", "release", *_COMMON_KEYS))
    expires, ttl_s = _expires(document, reply)
    holder, release = document.get("holder", ""), document.get("release", False)
    if not isinstance(holder, str):
        raise PayloadError("'holder' must be a text", reply)
    if not isinstance(release, bool):
        raise PayloadError("'release' must be true or false", reply)
    return Request(Heartbeat(holder, release), reply, expires, ttl_s=ttl_s)


def parse_json(payload: bytes) -> Any:
    """Read a JSON document as strictly as those of requests. Raises PayloadError."""
    return _json(_text(payload))


def read_reply(document: dict[str, Any]) -> ReplyAddress:
    """Read where a reply goes, whatever else there is. Raises PayloadError."""
    return _reply(document, document)


def parse_instant(text: object, reply: ReplyAddress) -> datetime:
    """Read a time in UTC. Raises PayloadError."""
    return _instant(text, reply)


def result_payload(id: RequestId, result: object) -> bytes:
    """Return the reply to a request that was carried out; `result` is plain JSON values."""
    return encode({"id": id, "ok": True, "result": result})


def error_payload(id: RequestId, code: str, message: str) -> bytes:
    """Return the reply to a request that was refused or failed."""
    return encode({"id": id, "ok": False, "error": {"code": code, "message": message}})


def _text(payload: bytes) -> str:
    if len(payload) > MAX_BYTES:
        raise PayloadError(f"{len(payload)} bytes: a request has at most {MAX_BYTES}")
    try:
        return payload.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise PayloadError(f"not UTF-8: {error.reason} at byte {error.start}") from None


def _scalar(text: str) -> str | bool | int | float:
    """Read a plain value: a JSON scalar, or else the text as it is."""
    if text == "null":
        raise PayloadError("null is no value: expected a text, a number, true or false")
    try:
        value = _DECODER.decode(text)
    except PayloadError:
        raise
    except ValueError:
        return text
    assert isinstance(value, str | bool | int | float)  # it began with no bracket
    return value


def _json(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except PayloadError:
        raise
    except json.JSONDecodeError as error:
        raise PayloadError(f"not JSON: {error}") from None
    except RecursionError:
        raise PayloadError("not JSON: nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise PayloadError("the same key twice in one object")
    return made


def _no_number(text: str) -> NoReturn:
    raise PayloadError(f"{text} is no number that can be used")


def _float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise PayloadError(f"{text[:_MAX_DIGITS]}... is too large a number")
    return int(text)


_DECODER = json.JSONDecoder(
    parse_constant=_no_number, parse_float=_float, parse_int=_int, object_pairs_hook=_object
)


def _reply(document: dict[str, Any], known: Iterable[str]) -> ReplyAddress:
    """Read id and reply_to, then refuse what else there is beside the known keys."""
    id, topic = document.get("id"), document.get("reply_to")
    if not (id is None or isinstance(id, str | int)) or isinstance(id, bool):
        raise PayloadError("'id' must be a text or an integer", ReplyAddress(_if_text(topic)))
    if isinstance(id, str) and len(id) > _MAX_ID:
        raise PayloadError(
            f"'id' is longer than {_MAX_ID} characters", ReplyAddress(_if_text(topic))
        )
    if not (topic is None or isinstance(topic, str)):
        raise PayloadError("'reply_to' must be a topic", ReplyAddress(None, id))
    reply = ReplyAddress(topic, id)
    names = list(known)
    for key in document:
        if key not in names:
            raise PayloadError(f"unknown key {key[:64]!r}{nearest(key, names)}", reply)
    return reply


def _expires(document: dict[str, Any], reply: ReplyAddress) -> tuple[datetime | None, float]:
    """Return when a request expires, and after which time; raise PayloadError if it says so
    wrongly."""
    issued_at, ttl_s = document.get("issued_at"), document.get("ttl")
    begin = None if issued_at is None else _instant(issued_at, reply)
    if ttl_s is None:
        return None, 0.0
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float) or not 0 < ttl_s <= _MAX_TTL_S:
        text = f"'ttl' must be a number of seconds above 0, and at most {_MAX_TTL_S}"
        raise PayloadError(text, reply)
    try:
        return None if begin is None else begin + timedelta(seconds=ttl_s), ttl_s
    except OverflowError:
        raise PayloadError("'issued_at' is too far in the future", reply) from None


def _instant(text: object, reply: ReplyAddress) -> datetime:
    try:
        made = datetime.fromisoformat(text) if isinstance(text, str) else None
        if made is not None and made.tzinfo is not None:
            return made.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    example = "2026-01-31T12:00:00Z"
    raise PayloadError(f"'issued_at' must be a time in UTC such as {example!r}", reply)


def _if_text(topic: object) -> str | None:
    return topic if isinstance(topic, str) else None
