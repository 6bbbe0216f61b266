"""Relief for a thread that serves a connection and is about to do what may take long."""

from __future__ import annotations

import threading
from collections.abc import Callable


class _Here(threading.local):
    ask: Callable[[], object] | None = None


_here = _Here()


def offer_relief(ask: Callable[[], object]) -> None:
    """Let `may_take_long` call `ask` in this thread from now on."""
    _here.ask = ask


def may_take_long() -> None:
    """Say that what this thread does next may take its time.

    If it serves a connection, another thread may go on with that meanwhile, and so with the next
    message. For other threads it means nothing.
    """
    if _here.ask is not None:
        _here.ask()
