"""Broker: the MQTT broker of a simulation, as a test sees it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekernel.core.errors import InvalidValueError
from edgekernel.testing.times import moment, span

if TYPE_CHECKING:
    from edgekernel.sim import SimClock
    from edgekernel.sim.broker import Publication

_KEPT = 1_000_000
"""Messages that are kept; a test that lets more come has to `clear` them."""
_SHOWN = 10
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Published:
    """A message on the broker, with the simulated time at which it came."""

    at_s: float
    topic: str
    payload: bytes
    retain: bool

    @property
    def document(self) -> Any:
        """The payload as JSON; as text if it is none."""
        return _document(self.payload)


class Broker:
    """The broker that the nodes of a simulation are on if they have an `[mqtt]` table.

    It is a client beside them, which no fault of a link concerns. Messages are named by a filter
    ("edge/+/status"), and narrowed down by values of their JSON, compared with `==`: of a signal
    that is its value. `server` is the SimBroker, to stop and start it.
    """

    def __init__(self, clock: SimClock) -> None:
        """Start a broker without clients."""
        from edgekernel.sim.broker import SimBroker

        self._clock = clock
        self._messages: list[Published] = []
        self._overflown = False
        self._asked = 0
        self.server = SimBroker(clock)
        self.server.watch(self._keep)
        self.server.__enter__()

    def close(self) -> None:
        """End it."""
        self.server.__exit__(None, None, None)

    def publish(
        self, topic: str, payload: object = "", *, retain: bool = False, qos: int = 1
    ) -> None:
        """Publish as a client; what is neither text nor bytes goes as JSON.

        Raises InvalidValueError for a topic that there cannot be, and LifecycleError while the
        broker is away.
        """
        from edgekernel.sim.broker import Publication

        text = payload if isinstance(payload, str | bytes) else json.dumps(payload)
        data = text.encode() if isinstance(text, str) else text
        self.server.publish(Publication(topic, data, qos, retain))

    def ask(self, topic: str, *, within: float = 5.0, **body: object) -> Any:
        """Send a request to a node and return the reply as a dict:
        `ask("edge/shed/set/fan/power", value=True)`.

        Raises AssertionError if none comes within a time, InvalidValueError for a topic that takes
        no requests.
        """
        __tracebackhide__ = True
        found = re.fullmatch(r"(.+)/(set|call)/[^/]+/[^/]+", topic)
        if found is None:
            raise InvalidValueError(f"{topic!r}: requests go to <node>/set/... and <node>/call/...")
        self._asked += 1
        reply_to, id = f"{found[1]}/reply/test", f"test-{self._asked}"
        self.publish(topic, {**body, "id": id, "reply_to": reply_to})
        return self.wait_for(reply_to, within=within, id=id).document

    @property
    def retained(self) -> dict[str, Any]:
        """The documents that are retained, by topic."""
        kept = self.server.retained.items()
        return {topic: _document(publication.payload) for topic, publication in kept}

    def of(self, filter: str = "#", **fields: object) -> list[Published]:
        """Return what was published on matching topics with these values, in order."""
        self._check_complete()
        return [each for each in self._messages if _fits(each, filter, fields)]

    def wait_for(self, filter: str, *, within: float = 0.0, **fields: object) -> Published:
        """Return the first such message, from before or within a time, which passes until then.

        Raises AssertionError if there is none.
        """
        __tracebackhide__ = True
        found: list[Published] = []
        seen = 0

        def is_there() -> bool:
            nonlocal seen
            while seen < len(self._messages) and not found:
                if _fits(self._messages[seen], filter, fields):
                    found.append(self._messages[seen])
                seen += 1
            return bool(found)

        if not is_there() and within > 0:
            self._clock.run_until(is_there, within)
        self._check_complete()
        if not found:
            waited = f" within {span(within)}" if within else ""
            raise AssertionError(
                f"{_told(filter, fields)} was not published{waited} "
                f"(now {moment(self._clock.monotonic_ns())})" + self._others(filter, fields)
            )
        return found[0]

    def clear(self) -> None:
        """Forget what was published so far; what is retained stays."""
        self._messages.clear()
        self._overflown = False

    def _keep(self, publication: Publication) -> None:
        if len(self._messages) >= _KEPT:
            self._overflown = True
            return
        at_s = self._clock.monotonic()
        topic, payload, retain = publication.topic, publication.payload, publication.retain
        self._messages.append(Published(at_s, topic, payload, retain))

    def _check_complete(self) -> None:
        if self._overflown:
            raise RuntimeError(
                f"more than {_KEPT} messages were published and the later ones are not kept; call "
                "broker.clear() in between"
            )

    def _others(self, filter: str, fields: dict[str, object]) -> str:
        others = self.of(filter) if fields else self._messages
        lines = [
            f"\n    {moment(round(each.at_s * 1e9)):>12}  {each.topic} {each.payload[:200]!r}"
            for each in others[-_SHOWN:]
        ]
        return "\n  others were:" + "".join(lines) if lines else ""

    def __repr__(self) -> str:
        return f"<Broker with {len(self.server.connections)} clients>"


def _document(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")


def _fits(message: Published, filter: str, fields: dict[str, object]) -> bool:
    from edgekernel.sim.broker import matches

    if not matches(filter, message.topic):
        return False
    document = message.document if fields else None
    return not fields or (
        isinstance(document, dict)
        and all(_value(document.get(name, _MISSING)) == each for name, each in fields.items())
    )


def _value(content: object) -> object:
    return content["value"] if isinstance(content, dict) and "value" in content else content


def _told(filter: str, fields: dict[str, object]) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    return f"{filter} ({values})" if values else filter
