"""All that a broker has retained on some filters, and nothing less."""

from __future__ import annotations

from collections.abc import Callable, Set

from edgekernel.core.clock import Clock
from edgekernel.mqtt.fleet.errors import NoAnswerError
from edgekernel.mqtt.fleet.listening import Answer, Arrival, LinkChange, Listener

QUIET_S = 0.3
"""So long nothing more has to come: some brokers look for what they retain beside their links."""


class Gathering:
    """Takes what comes after a subscription until that was all.

    MQTT has no word for it. What a broker sends on a link comes in order, so it is asked something,
    again and again: when nothing that was retained has come between a question and its answer, for
    whomever, and for `QUIET_S` seconds, nothing is on its way. That holds on links of any speed.
    """

    def __init__(
        self, listener: Listener, ask: Callable[[], int], clock: Clock, patience_s: float
    ) -> None:
        """Prepare; `ask` lets the listener get an Answer, and returns how many retained messages
        there were before. The broker has `patience_s` seconds for an answer, and for each message
        before it."""
        self._listener = listener
        self._ask = ask
        self._clock = clock
        self._patience_s = patience_s
        self._found: dict[str, bytes] = {}
        self._asks = False
        self._before = 0
        self._heard_s = clock.monotonic()

    def run(self, exact: Set[str] = frozenset()) -> dict[str, bytes]:
        """Return all payloads by topic; with `exact` topics no later than they are there.

        Raises NoAnswerError if the link breaks, and if the broker does not answer.
        """
        self._ask_again()
        while not (exact and exact <= self._found.keys()):
            limit_s = self._patience_s if self._asks else QUIET_S
            left_s = self._heard_s + limit_s - self._clock.monotonic()
            item = self._listener.get(left_s) if left_s > 0 else None
            if item is not None:
                self._take(item)
            elif not self._asks:
                break
            else:
                count = len(self._found)
                raise NoAnswerError(
                    f"did not say within {limit_s:g} s that {count} retained messages are all"
                )
        return self._found

    def _take(self, item: Arrival | LinkChange | Answer) -> None:
        if isinstance(item, LinkChange) and not item.up:
            raise NoAnswerError(f"the link broke: {item.reason}")
        if isinstance(item, Answer):
            self._asks, self._heard_s = False, self._clock.monotonic()
            if item.retained != self._before:
                self._ask_again()
        if isinstance(item, Arrival):
            if item.retained and item.topic not in self._found:
                self._heard_s = self._clock.monotonic()
                if not self._asks:
                    self._ask_again()
            self._found[item.topic] = item.payload

    def _ask_again(self) -> None:
        self._asks, self._before = True, self._ask()
