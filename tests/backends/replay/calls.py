"""Recorded calls, written briefly."""

from __future__ import annotations

from typing import Any

from edgekernel.backends.recording import Transaction
from edgekernel.backends.replay import Tape
from edgekernel.sim import SimClock

SECOND = 10**9
WINDOW_NS = SECOND // 2
Place = tuple[str, str]
I2C, PORT = ("i2c", "i2c1"), ("serial", "uart0")


def call(
    place: Place, at_s: float, op: str, *args: Any, gives: Any = None, took_s: float = 0.0,
    **options: Any,
) -> Transaction:  # fmt: skip
    """Return a call that came back at a time with a result, or with an error's class and text."""
    now = round(at_s * SECOND)
    error, text = (None, "")
    if isinstance(gives, Exception):
        error, text, gives = type(gives).__name__, str(gives), None
    took_ns = round(took_s * SECOND)
    return Transaction(now, now, *place, op, args, options, gives, error, text, took_ns)


def tape(clock: SimClock, *calls: Transaction, booted_s: float = 0.0) -> Tape:
    """Return a tape with calls."""
    return Tape(calls, clock, window_ns=WINDOW_NS, booted_ns=round(booted_s * SECOND))
