"""On which terms a broker takes a client, as it says on MQTT 5 (section 3.2.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from edgekernel.mqtt.packed_properties import packed
from edgekernel.mqtt.transport import NOTHING_BESIDE, Outbound

_ANY_NUMBER = 65_535
_HEADER_BYTES = 1 + 4 + 2 + 2
"""Of a PUBLISH, at most: type, length, the topic's length, packet identifier (section 3.3)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a broker allows; what it does not say has no limit."""

    receive_maximum: int = _ANY_NUMBER
    """Messages at QoS 1 that may wait for its acknowledgement."""
    max_packet: int = 0
    """Bytes of a packet; 0 is no limit."""
    max_qos: int = 2
    retain: bool = True
    """Whether it keeps retained messages."""
    keepalive_s: int | None = None
    """What it wants for a keep-alive instead of the client's."""

    @classmethod
    def of(cls, properties: Any) -> Self:
        """Read them from the properties of a CONNACK, by the names of MQTT 5 without spaces."""
        said = vars(properties)
        return cls(
            said.get("ReceiveMaximum", _ANY_NUMBER),
            said.get("MaximumPacketSize", 0),
            said.get("MaximumQoS", 2),
            bool(said.get("RetainAvailable", 1)),
            said.get("ServerKeepAlive"),
        )

    @property
    def window(self) -> int:
        """Messages that may wait for an acknowledgement; 0 for any number."""
        return 0 if self.receive_maximum == _ANY_NUMBER else self.receive_maximum

    @property
    def missing(self) -> str:
        """Why we cannot do with this broker, in the words in which it would refuse a last will
        that is retained and at QoS 1 (section 3.2.2.2); empty if we can."""
        if not self.max_qos:
            return "qos not supported"
        return "" if self.retain else "retain not supported"

    def notes(self, keepalive_s: int) -> list[str]:
        """Return what the broker does otherwise than a client with this keep-alive expects."""
        own_s = self.keepalive_s
        if own_s is None or 0 < own_s <= keepalive_s:
            return []
        if not own_s:
            return [
                "has no keep-alive: it does not notice that a link has died, and publishes no "
                "last will then"
            ]
        return [
            f"wants a keep-alive of {own_s} s instead of {keepalive_s} s: it publishes the last "
            f"will {1.5 * own_s:g} s after the last sign of life"
        ]

    def too_large(self, message: Outbound) -> str:
        """Return why a message cannot be sent; empty if it can."""
        beside = 1 if message.properties is NOTHING_BESIDE else len(packed(message.properties))
        size = _HEADER_BYTES + len(message.topic.encode()) + beside + len(message.payload)
        if size <= self.max_packet:
            return ""
        return f"packet too large: {size} bytes, and the broker takes {self.max_packet}"


NO_TERMS = Terms()
