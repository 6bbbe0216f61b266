"""The MQTT interface: a node's states, events and requests on a broker."""

from edgekernel.mqtt.about import About
from edgekernel.mqtt.broker import EmbeddedBroker
from edgekernel.mqtt.fleet import Fleet, NoAnswerError, RequestRefusedError
from edgekernel.mqtt.interface import MqttInterface
from edgekernel.mqtt.messages import (
    MqttConnected,
    MqttDisconnected,
    MqttEventsDropped,
    MqttProblem,
)
from edgekernel.mqtt.settings import Settings

__all__ = [
    "About",
    "EmbeddedBroker",
    "Fleet",
    "MqttConnected",
    "MqttDisconnected",
    "MqttEventsDropped",
    "MqttInterface",
    "MqttProblem",
    "NoAnswerError",
    "RequestRefusedError",
    "Settings",
]
