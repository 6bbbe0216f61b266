"""What controllers set, as requests: of outputs, and of commands that have a property."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from edgekernel.core.errors import InvalidValueError
from edgekernel.mqtt.homie.properties import Property
from edgekernel.mqtt.homie.topics import HomieTopics
from edgekernel.mqtt.homie.values import decode_value
from edgekernel.mqtt.payloads import MAX_BYTES, PayloadError, ReplyAddress, Request
from edgekernel.mqtt.topics import Target

Place = tuple[str, str]


class Asking:
    """Reads what arrives on the `set` topics; the topics of requests, as `Requests` wants them.

    Homie has no answers. What a command was given is told on its property when it is done, as that
    of a moment; a refusal is an event of the node like every other, and on its log.
    """

    def __init__(
        self,
        topics: HomieTopics,
        asked: Callable[[Place, object, bytes], object],
        done: Callable[[str, bytes], object],
    ) -> None:
        """Prepare; `asked` is told what an output is to become, `done` the topic and payload of a
        command that was carried out."""
        self._topics = topics
        self._asked = asked
        self._done = done
        self._calls: dict[str, tuple[str, bytes]] = {}
        self._number = 0
        self.properties: Mapping[Place, Property] = {}
        """By the ids of node and property; replaced, never changed."""

    def target(self, topic: str) -> Target | None:
        """Return what a topic sets; None if it sets nothing."""
        place = self._topics.to_set(topic)
        if place is None:
            return None
        each = self.properties.get(place)
        return Target("call" if each and each.source == "command" else "set", *place)

    def check_reply(self, topic: str) -> object:
        """Let everything pass: where a reply goes is never what a controller wrote."""

    def read(self, target: Target, payload: bytes) -> Request:
        """Read a value of the property's datatype. Raises PayloadError."""
        place = target.owner, target.member
        each = self.properties.get(place)
        if each is None:
            return Request("", ReplyAddress())  # what it is for is not there: refused as such
        if len(payload) > MAX_BYTES:
            raise PayloadError(f"{len(payload)} bytes: a request has at most {MAX_BYTES}")
        try:
            value = decode_value(payload, each.datatype, each.format)
        except PayloadError:
            raise
        except InvalidValueError as error:
            raise PayloadError(str(error)) from None
        if each.source != "command":
            self._asked(place, value, payload)
            return Request(value, ReplyAddress())
        args: dict[str, Any] = {each.argument: value} if each.argument else {}
        return Request(args, ReplyAddress(self._note(place, payload)))

    def answered(self, token: str, answer: bytes, *beside: object) -> None:
        """Take the answer to a call, as JSON, and tell if it was carried out."""
        topic, payload = self._calls.pop(token)
        if json.loads(answer)["ok"]:
            self._done(topic, payload)

    def _note(self, place: Place, payload: bytes) -> str:
        self._number += 1
        token = str(self._number)
        self._calls[token] = self._topics.value(*place), payload
        return token
