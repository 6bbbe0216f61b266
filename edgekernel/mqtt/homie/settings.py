"""Settings of the dialect Homie: `[mqtt.homie]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edgekernel.core.errors import ConfigError
from edgekernel.node.problems import explain

Level = Literal["debug", "info", "warn", "error", "off"]


def _domain(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,64}", name):
        raise ValueError("a domain is 1 to 64 characters of a-z, 0-9 and -")
    return name


def _dotted(name: str) -> str:
    if not re.fullmatch(r"[^.]+\..+", name):
        raise ValueError('it is written as "device.name"')
    return name


class HomieSettings(BaseModel):
    """How a node shows itself to Homie controllers.

    `domain` is the first level of every topic, the convention's homie-domain. `name` is shown for
    the node; it is the node's own unless given. What is at least as bad as `log` is also told on
    `$log`. With `broadcast` messages to all devices are told on the node as `homie.broadcast`.
    While a value is not to be trusted it is taken off the broker; with `keep_bad` the last one
    stays, and only the alert tells. `exclude` are readings, outputs and commands that are not
    shown, each as "device.name".
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    domain: Annotated[str, AfterValidator(_domain)] = "homie"
    name: str = ""
    log: Level = "warn"
    broadcast: bool = False
    keep_bad: bool = False
    exclude: list[Annotated[str, AfterValidator(_dotted)]] = Field(default_factory=list)


def read_settings(table: Mapping[str, object]) -> HomieSettings:
    """Return what a table of a node file says. Raises ConfigError with every mistake."""
    try:
        return HomieSettings.model_validate(dict(table))
    except ValidationError as error:
        known = HomieSettings.model_fields
        raise ConfigError(*(f"{key}: {text}" for key, text in explain(error, known))) from None
