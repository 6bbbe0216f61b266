"""`[leases.<name>]` of the node file: what needs a controller that is alive."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edgekernel.core.lease import LeaseTerms
from edgekernel.node.duration import Duration


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,64}", name):
        raise ValueError("a lease's name is 1 to 64 characters of a-z, 0-9 and -")
    return name


def _timeout(seconds: float) -> float:
    if not 0.5 <= seconds <= 86400:
        raise ValueError("a timeout is 500ms to 24h")
    return seconds


def _labels(labels: list[str]) -> list[str]:
    for label in labels:
        owner, _, name = label.partition(".")
        if not (owner and name):
            raise ValueError(f'"{label}" has no dot: write "device.output", "component.command"')
        if labels.count(label) > 1:
            raise ValueError(f'"{label}" is there twice')
    return labels


LeaseName = Annotated[str, AfterValidator(_name)]
_Labels = Annotated[list[str], AfterValidator(_labels)]


class LeaseTable(BaseModel):
    """`[leases.<name>]`: outputs and commands that need a living controller."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    timeout: Annotated[Duration, AfterValidator(_timeout)]
    """Seconds after its last sign of life when the controller counts as gone."""
    outputs: _Labels = Field(default=[])
    commands: _Labels = Field(default=[])

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.outputs or self.commands):
            raise ValueError("needs outputs or commands: what is the lease for?")
        return self

    @property
    def terms(self) -> LeaseTerms:
        """The same for the lease itself."""
        return LeaseTerms(self.timeout, tuple(self.outputs), tuple(self.commands))
