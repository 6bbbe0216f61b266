"""The MQTT interface: a node's states, events and requests on a broker."""

from edgekernel.mqtt.broker import EmbeddedBroker
from edgekernel.mqtt.interface import MqttInterface
from edgekernel.mqtt.messages import (
    MqttConnected,
    MqttDisconnected,
    MqttEventsDropped,
    MqttProblem,
    RequestAnswered,
)
from edgekernel.mqtt.settings import Settings

__all__ = [
    "EmbeddedBroker",
    "MqttConnected",
    "MqttDisconnected",
    "MqttEventsDropped",
    "MqttInterface",
    "MqttProblem",
    "RequestAnswered",
    "Settings",
]
