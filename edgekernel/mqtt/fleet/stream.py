"""What nodes say, as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.listening import Arrival, LinkChange
from edgekernel.mqtt.fleet.results import LinkState

T = TypeVar("T")


class Stream(Generic[T]):
    """What arrives from the moment it is made, until it is closed; a context manager.

    In between it says when the client's own link goes and comes back. It holds 10,000 items for
    whoever takes them out: of more the oldest are dropped, and `dropped` counts them.
    """

    def __init__(
        self,
        connection: Connection,
        filters: tuple[str, ...],
        read: Callable[[Arrival], T | None],
        closed: Callable[[], object] = lambda: None,
    ) -> None:
        """Listen on filters below the prefix; `read` makes an item, or None, of what arrives.

        `closed` is called at the end.
        """
        self._connection = connection
        self._read = read
        self._closed = closed
        self._listener = connection.listen(filters)

    @property
    def dropped(self) -> int:
        """How many items were dropped because nobody took them out."""
        return self._listener.dropped

    def get(self, timeout_s: float | None = None) -> T | LinkState | None:
        """Return the next item; None if none comes within a time, or the stream is closed."""
        clock = self._connection.clock
        end_s = None if timeout_s is None else clock.monotonic() + timeout_s
        while True:
            left_s = None if end_s is None else max(0.0, end_s - clock.monotonic())
            arrival = self._listener.get(left_s)
            if arrival is None:
                return None
            if isinstance(arrival, LinkChange):
                return LinkState(arrival.up, arrival.reason)
            item = self._read(arrival) if isinstance(arrival, Arrival) else None
            if item is not None:
                return item

    def close(self) -> None:
        """Listen no more; whoever waits is let go. Closing twice is harmless."""
        self._connection.leave(self._listener)
        self._closed()

    def during(self, seconds: float | None) -> Iterator[T | LinkState]:
        """Yield what comes in so many seconds; without them until the stream is closed."""
        clock = self._connection.clock
        end_s = None if seconds is None else clock.monotonic() + seconds
        while True:
            left_s = None if end_s is None else end_s - clock.monotonic()
            item = self.get(left_s) if left_s is None or left_s > 0 else None
            if item is None:
                return
            yield item

    def __iter__(self) -> Iterator[T | LinkState]:
        return self.during(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
