"""`[config]` of the node file: how a changed configuration has to prove itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from edgekernel.node.duration import AsSeconds


class ConfigTable(BaseModel):
    """`[config]`: when a configuration that was applied live counts as good."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    healthy_for: Annotated[float, AsSeconds, Field(ge=0, le=3600)] = 10.0
    """Seconds, without a break, in which nothing is worse than before the change."""
    grace: Annotated[float, AsSeconds, Field(ge=0, le=3600)] = 20.0
    """Seconds after the change in which something may be worse, such as a device that starts."""
