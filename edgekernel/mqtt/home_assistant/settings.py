"""Settings of what Home Assistant is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from edgekernel.core.errors import ConfigError

Mode = Literal["device", "entities", "off"]
"""One message for the node, one for each entity, or none."""

_PREFIX = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class HomeAssistant:
    """How a node shows itself in Home Assistant.

    `discovery` is "device", "entities" for Home Assistant before 2024.12, or "off", which takes
    away what was announced before. `prefix` is Home Assistant's discovery prefix. `name` and `area`
    are shown for the node; its name is the node's unless given.

    `lights` are outputs that are lamps, `exclude` readings, outputs and commands that are not
    shown, each as "device.name"; `events` are messages of applications that are shown, by name.

    A value that is not told again within `expire_after_s` seconds becomes unavailable; 0 is no such
    limit. A request that reaches the node more than `command_ttl_s` seconds after it was made is
    refused; 0 is no such limit. After Home Assistant has started, everything is told again within
    `birth_delay_s` seconds, at random, so that a fleet does not speak all at once.

    Raises ConfigError with every mistake.
    """

    discovery: Mode = "device"
    prefix: str = "homeassistant"
    name: str = ""
    area: str = ""
    lights: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    expire_after_s: float = 0.0
    command_ttl_s: float = 30.0
    birth_delay_s: float = 5.0

    def __post_init__(self) -> None:
        key = "mqtt.home_assistant"
        problems = [
            f'{key}.{field}: "{each}" is not written as "device.name"'
            for field in ("lights", "exclude")
            for each in getattr(self, field)
            if not re.fullmatch(r"[^.]+\..+", each)
        ]
        if not _PREFIX.fullmatch(self.prefix):
            problems.append(f"{key}.prefix: {self.prefix!r} is no topic such as 'homeassistant'")
        if not (self.expire_after_s == 0 or 1 <= self.expire_after_s <= 86400):
            problems.append(f"{key}.expire_after: {self.expire_after_s:g} s is not 1 s to 1 day")
        if not (self.command_ttl_s == 0 or 1 <= self.command_ttl_s <= 3600):
            problems.append(f"{key}.command_ttl: {self.command_ttl_s:g} s is not 1 s to 1 hour")
        if not 0 <= self.birth_delay_s <= 600:
            problems.append(f"{key}.birth_delay: {self.birth_delay_s:g} s is not 0 to 10 minutes")
        if problems:
            raise ConfigError(*problems)
