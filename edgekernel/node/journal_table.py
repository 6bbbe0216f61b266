"""`[journal]` of the node file: what the node records of itself."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from edgekernel.node.duration import Age, Duration

Recorded = Literal["events", "bus", "commands", "outputs"]
"""What a journal can hold: messages, what drivers and boundaries have said to one another,
requests with their outcomes, and the changes of outputs."""
RECORDED: tuple[Recorded, ...] = get_args(Recorded)


def _megabytes(size: float) -> float:
    if not 1 <= size <= 1_000_000:
        raise ValueError("a journal has 1 MB to 1000000 MB")
    return size


def _commit(seconds: float) -> float:
    if not 0.1 <= seconds <= 3600:
        raise ValueError("a commit comes every 100ms to 1h")
    return seconds


def _something(what: list[Recorded]) -> list[Recorded]:
    if not what:
        raise ValueError("nothing is to be recorded; leave the table out instead")
    return what


class JournalTable(BaseModel):
    """`[journal]`: what the node records of itself, where, and how much of that is kept."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    folder: str = Field(min_length=1)
    """Beside the node file, unless it is absolute."""
    max_mb: Annotated[float, AfterValidator(_megabytes)] = 64.0
    """In millions of bytes."""
    max_age: Age | None = None
    max_segments: int = Field(default=4096, ge=2, le=100_000)
    commit: Annotated[Duration, AfterValidator(_commit)] = 10.0
    """Seconds until what was recorded survives a power cut, at most."""
    compress: bool = True
    what: Annotated[list[Recorded], AfterValidator(_something)] = Field(default=list(RECORDED))
