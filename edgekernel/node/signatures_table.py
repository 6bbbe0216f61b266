"""`[mqtt.signatures]` of the node file: whose signed requests count."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_Role = Annotated[str, Field(min_length=1)]


def _principal(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,64}", name) or name == "mqtt":
        raise ValueError(
            "a principal is 1 to 64 characters of a-z, 0-9 and -, and not mqtt, which stands for "
            "whoever has not signed"
        )
    return name


class SignaturesTable(BaseModel):
    """`[mqtt.signatures]`: the public keys of those who sign their requests."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    keys: dict[Annotated[str, AfterValidator(_principal)], str] = Field(min_length=1)
    """By principal, the file of an Ed25519 public key in PEM, beside the node file unless it is
    absolute. The principal is the key's id."""
    required: bool = False
    """Whether requests that are not signed are refused."""
    roles: dict[str, list[_Role]] = Field(default_factory=dict)
    """By principal, what it has been granted: the roles, and actions, of commands and outputs."""
