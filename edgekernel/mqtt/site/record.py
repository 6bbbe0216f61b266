"""What a site remembers: its hosts and ports, its nodes with their certificates, its users."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.site.access import Role


class SiteRecord(BaseModel):
    """The file `site.json`. Serial numbers are those of certificates, in decimal."""

    model_config = ConfigDict(extra="forbid")

    prefix: str
    hosts: list[str]
    node_port: int
    user_port: int
    plugins: str = ""
    """The folder of mosquitto's plugins, where the configuration is for one that wants them."""
    at: str = ""
    """The folder in which the broker has its files, if it is on another computer."""
    dialects: list[str] = Field(default_factory=list)
    """Those whose topics are in the access list beside ours."""
    nodes: dict[str, list[str]] = Field(default_factory=dict)
    """Of each node the serial numbers of its certificates, the latest last."""
    revoked: list[str] = Field(default_factory=list)
    users: dict[str, Role] = Field(default_factory=dict)
    passwords: dict[str, str] = Field(default_factory=dict)
    """Of each user the line of the password file; the password itself is nowhere."""

    @classmethod
    def read(cls, path: Path) -> SiteRecord:
        """Read it. Raises ConfigError for a folder that is no site, and for a damaged file."""
        try:
            return cls.model_validate(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            raise ConfigError(
                f"{path.parent} is no site: there is no {path.name} in it; make one with "
                "`edgekernel broker init`"
            ) from None
        except (OSError, ValueError, ValidationError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from None
