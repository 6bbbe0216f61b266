"""Home Assistant: a node's devices and commands as its entities, by MQTT discovery."""

from edgekernel.mqtt.home_assistant.announcement import Announcement, announce
from edgekernel.mqtt.home_assistant.discovery import Discovery, Seam
from edgekernel.mqtt.home_assistant.settings import HomeAssistant

__all__ = ["Announcement", "Discovery", "HomeAssistant", "Seam", "announce"]
