"""`[update]` of the node file: whether the node takes updates, and when one counts as good."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from edgekernel.node.duration import AsSeconds

HEALTHY_FOR_S = 300.0
LIMIT_S = 1200.0
MAX_STARTS = 5


def _named(readings: str | list[str]) -> str | list[str]:
    if isinstance(readings, list) and not all(readings):
        raise ValueError('readings are "all", "none", or a list of devices and device.readings')
    return readings


class UpdateTable(BaseModel):
    """`[update]`: updates of the whole image, and the trial of one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    remote: bool = False
    """Whether the node takes updates, and restarts, that it is asked for from afar."""
    healthy_for: Annotated[float, AsSeconds, Field(gt=0, le=86400)] = HEALTHY_FOR_S
    """Seconds, without a break, in which an update on trial has to meet every criterion."""
    limit: Annotated[float, AsSeconds, Field(gt=0, le=86400)] = LIMIT_S
    """Seconds after which an update that has not is given up."""
    max_starts: Annotated[int, Field(ge=1, le=1000)] = MAX_STARTS
    """Starts of the agent since the update was booted; with more it is given up at once."""
    readings: Annotated[Literal["all", "none"] | list[str], AfterValidator(_named)] = "all"
    """Which readings have to be good, and their devices online, but for what was bad before the
    update: of all devices, of none, or these devices and readings."""

    def requires(self, device: str, reading: str = "") -> bool:
        """Say whether a reading has to be good; without one, whether any of the device has."""
        if not isinstance(self.readings, list):
            return self.readings == "all"
        if device in self.readings:
            return True
        names = (each for each in self.readings if each.startswith(f"{device}."))
        return any(not reading or each == f"{device}.{reading}" for each in names)
