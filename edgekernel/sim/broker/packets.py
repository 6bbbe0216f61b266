"""What clients and the broker say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edgekernel.core.clock import NANOSECONDS


@dataclass(frozen=True, slots=True)
class Publication:
    """A message on a topic, at QoS 0 or 1.

    On MQTT 5 the broker drops it `expiry_s` seconds after it came; `properties` it hands on as
    they are, to clients of MQTT 5.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    expiry_s: float | None = None
    properties: object = None


@dataclass(frozen=True, slots=True)
class Hello:
    """How a client introduces itself.

    The broker takes it for gone 1.5 times `keepalive_s` seconds after its last packet (0: never),
    and publishes `will` then, as at every end without a goodbye. With `clean` false it keeps the
    subscriptions, and QoS 1 messages for them, while the client is away. It speaks MQTT 3.1.1
    unless it says `mqtt5`; then what comes by one of the filters `as_published` says whether it was
    published to be retained (MQTT 5, 3.8.3.1).
    """

    client_id: str
    clean: bool = True
    keepalive_s: float = 60.0
    will: Publication | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    mqtt5: bool = False
    as_published: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Held:
    """A message in the broker's keeping."""

    publication: Publication
    expires_ns: int | None = None

    @classmethod
    def since(cls, now_ns: int, publication: Publication) -> Held:
        """Hold a message that has come now."""
        if publication.expiry_s is None:
            return cls(publication)
        return cls(publication, now_ns + round(publication.expiry_s * NANOSECONDS))

    def expired(self, now_ns: int) -> bool:
        """Say whether it is not to be delivered any more."""
        return self.expires_ns is not None and now_ns >= self.expires_ns

    def at(self, now_ns: int, qos: int, *, retained: bool, mqtt5: bool) -> Publication:
        """Return it as it is delivered now: with what is left of its time (MQTT 5, 3.3.2.3.3), and
        to a client of MQTT 3.1.1 with its payload alone."""
        qos = min(qos, self.publication.qos)
        publication = replace(self.publication, qos=qos, retain=retained, expiry_s=None)
        if not mqtt5:
            return replace(publication, properties=None)
        if self.expires_ns is None:
            return publication
        return replace(publication, expiry_s=(self.expires_ns - now_ns) / NANOSECONDS)
