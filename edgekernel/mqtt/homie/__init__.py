"""Homie 5: a node as a device of the Homie Convention, for controllers that speak it."""

from edgekernel.mqtt.homie.dialect import Homie
from edgekernel.mqtt.homie.messages import HomieBroadcast
from edgekernel.mqtt.homie.settings import HomieSettings

__all__ = ["Homie", "HomieBroadcast", "HomieSettings"]
