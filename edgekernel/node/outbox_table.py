"""`[mqtt.outbox]` of the node file: what waits for the broker on the disk, and how much of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edgekernel.node.duration import Age, Duration

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|KB|MB|GB)", re.ASCII)
_UNITS = {"B": 1, "kB": 1_000, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}

Keep = Literal["all", "latest", "none"]
"""What is kept of a topic while the broker is away: every message, the latest, or nothing."""
WhenFull = Literal["drop-oldest", "drop-newest"]
"""Which message goes when there is no room."""


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError('a size is a number of bytes or a text like "256KB", "64MB", "1GB"')
    return int(float(match[1]) * _UNITS[match[2]])


def _commit(seconds: float) -> float:
    if not 0.001 <= seconds <= 3600:
        raise ValueError("a commit comes every 1ms to 1h")
    return seconds


Size = Annotated[int, BeforeValidator(_bytes), Field(ge=0, le=10**12)]
"""Bytes, a KB being 1,000 of them; in the file a number or a text such as "64MB"."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TopicRule(_Table):
    """One of `topics`: what is kept of the topics that match a filter."""

    filter: str = Field(min_length=1)
    """An MQTT topic filter below the node's own topics: `event/#`, `data/+`."""
    keep: Keep | None = None
    ring: int | None = Field(default=None, ge=1, le=1_000_000)
    """Keep the latest so many messages of each topic."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.keep is None) == (self.ring is None):
            raise ValueError(f'"{self.filter}": say either keep or ring')
        levels = self.filter.split("/")
        fine = all(each in ("+", "#") or not set(each) & set("+#") for each in levels)
        if not fine or "#" in levels[:-1]:
            raise ValueError(
                f'"{self.filter}" is no topic filter: "+" and "#" stand alone between slashes, '
                'and "#" at the end'
            )
        return self


class OutboxTable(_Table):
    """`[mqtt.outbox]`: the store of what waits for the broker, its bounds and its pace."""

    file: str = Field(default="outbox.db", min_length=1)
    """In the node's data folder, unless it is absolute."""
    commit_every: Annotated[Duration, AfterValidator(_commit)] = 1.0
    """Seconds until what was accepted survives a kill and a power cut, at most."""
    max_size: Size = Field(default=64_000_000, ge=10_000)
    """Bytes of messages in the file, with 80 for each message beside its topic and payload."""
    max_rows: int = Field(default=500_000, ge=1, le=100_000_000)
    max_age: Age = 7 * 86400.0
    max_payload: Size = Field(default=128_000, ge=1)
    """Bytes; a larger payload is not accepted: one broker or the other would refuse it."""
    topics: list[TopicRule] = Field(default=[])
    """The first that matches counts; of other topics every message is kept."""
    drain_messages: int = Field(default=500, ge=0, le=1_000_000)
    """Stored messages sent in a second, at most; 0 for no limit."""
    drain_size: Size = 256_000
    """Bytes of stored messages sent in a second, at most; 0 for no limit."""
    queue_rows: int = Field(default=10_000, ge=1, le=10_000_000)
    """Messages that may wait in memory for the disk, and as many for the link."""
    queue_size: Size = Field(default=4_000_000, ge=1_000)
    queue_full: WhenFull = "drop-oldest"


class OutboxPlace(NamedTuple):
    """An outbox of a node: its file, and what is said of it."""

    path: Path
    table: OutboxTable
