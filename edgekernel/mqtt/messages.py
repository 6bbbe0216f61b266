"""What the MQTT interface says about its link."""

from __future__ import annotations

from edgekernel.core.messages import Message, Severity

__all__ = ["MqttConnected", "MqttDisconnected", "MqttEventsDropped", "MqttProblem"]


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
