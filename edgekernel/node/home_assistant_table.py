"""`[mqtt.home_assistant]` of the node file: how the node shows itself in Home Assistant."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgekernel.node.duration import DurationOrNone


class HomeAssistantTable(BaseModel):
    """`[mqtt.home_assistant]`: what is shown, and how; the rules for it are in
    edgekernel.mqtt.home_assistant.settings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    discovery: Literal["device", "entities", False] = "device"
    prefix: str = "homeassistant"
    name: str = ""
    area: str = ""
    lights: list[str] = Field(default_factory=list)
    exclude: list[str] = Field(default_factory=list)
    events: list[str] = Field(default_factory=list)
    expire_after: DurationOrNone = 0.0
    command_ttl: DurationOrNone = 30.0
    birth_delay: DurationOrNone = 5.0
