"""How a shared bus is: what it has counted, and whether it is in use."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable


class BusState(StrEnum):
    """Whether transactions are let through: the three states of a circuit breaker."""

    CLOSED = "closed"
    """In use."""
    OPEN = "open"
    """Out of use: transactions are refused at once."""
    HALF_OPEN = "half-open"
    """Being tried again just now."""


@dataclass(frozen=True, slots=True)
class BusHealth:
    """A bus at one moment. The counts are those since it was made."""

    state: BusState = BusState.CLOSED
    reason: str = ""
    """Why it is out of use, since when, and when it is tried again; empty while it is in use."""
    transactions: int = 0
    """Those that were begun; what is refused because the bus is out of use is none."""
    nacks: int = 0
    """Transactions that nobody acknowledged: the bus works."""
    errors: int = 0
    """Transactions that failed otherwise."""
    recoveries: int = 0
    """How often the bus has worked again after it was opened anew or clocked free."""
    busy_s: float = 0.0
    """Seconds that transactions and recoveries took in all."""
    next_attempt_ns: int | None = None
    """When a bus that is out of use is tried again, on the monotonic clock."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Why transactions with some addresses ("0x76") are refused, by address."""


@runtime_checkable
class HasHealth(Protocol):
    """A bus that tells how it is."""

    @property
    def health(self) -> BusHealth:
        """How it is now; never waits for a transaction that goes on."""
        ...

    def check(self) -> None:
        """Try a bus that is out of use again if its time has come.

        Raises BrokenError, with the reason, while it is out of use.
        """
        ...
