"""The MQTT interface: a node's states, events and requests on a broker."""

import typing

from edgekernel.mqtt.about import About
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

if typing.TYPE_CHECKING:
    from edgekernel.mqtt.fleet import Fleet, NoAnswerError, RequestRefusedError, Signer

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
    "RequestAnswered",
    "RequestRefusedError",
    "Settings",
    "Signer",
]

if not typing.TYPE_CHECKING:  # a node does not need its clients: they are loaded when asked for

    def __getattr__(name: str) -> object:
        if name not in ("Fleet", "NoAnswerError", "RequestRefusedError", "Signer"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from edgekernel.mqtt import fleet

        value = globals()[name] = getattr(fleet, name)
        return value
