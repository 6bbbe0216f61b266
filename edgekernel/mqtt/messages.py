"""What the MQTT interface says about its link."""

from __future__ import annotations

from edgekernel.core.messages import Message, Severity

__all__ = [
    "MqttConnected",
    "MqttDisconnected",
    "MqttEventsDropped",
    "MqttProblem",
    "RequestAnswered",
]


class MqttConnected(Message):
    """The broker has accepted the node: requests reach it, states and events are published."""

    broker: str


class MqttDisconnected(Message):
    """The link is gone; events wait until it is back."""

    severity = Severity.WARNING
    broker: str
    reason: str


class MqttProblem(Message):
    """Connecting does not work, or not fully; told once per spell and tried again."""

    severity = Severity.WARNING
    broker: str
    error: str


class MqttEventsDropped(Message):
    """More events were waiting than there is room for; the oldest were dropped."""

    severity = Severity.WARNING
    dropped: int


class RequestAnswered(Message):
    """A request over MQTT has come to its end: who asked for what, and what came of it.

    `kind` is "set", "call" or "lease", `principal` who has signed it, or "mqtt", `id` that of the
    request, or "". The `outcome` is "ok", "failed", "repeated" (the first answer was given again),
    "cleared" (the request took a retained one off the broker), or the code of a refusal; `error`
    says more. A renewal of a lease is told only if it is refused.
    """

    kind: str
    target: str
    principal: str
    id: str
    outcome: str
    error: str
