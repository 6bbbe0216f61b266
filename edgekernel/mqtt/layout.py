"""How a node publishes its states: together or a topic for each signal, as JSON or as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekernel.core.errors import ConfigError

Layout = Literal["device", "signal"]
"""One topic for each device, or one for each of its signals."""
Payloads = Literal["json", "plain"]
"""JSON objects with quality and time, or the bare value."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of the states of one node. Raises ConfigError for plain values of whole devices."""

    layout: Layout = "device"
    payloads: Payloads = "json"

    def __post_init__(self) -> None:
        if self.layout == "device" and self.payloads == "plain":
            raise ConfigError(
                'mqtt.layout: "device" has several values in one payload, which cannot be plain; '
                'leave it out, or set payloads = "json"'
            )

    @classmethod
    def of(cls, layout: Layout | None, payloads: Payloads) -> Form:
        """Return what is meant: plain values have a topic each."""
        return cls(layout or ("signal" if payloads == "plain" else "device"), payloads)

    @property
    def by_signal(self) -> bool:
        """Whether each signal has a topic."""
        return self.layout == "signal"

    @property
    def plain(self) -> bool:
        """Whether a payload is the bare value."""
        return self.payloads == "plain"


TOGETHER = Form()
