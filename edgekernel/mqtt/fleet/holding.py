"""A lease held from the outside: renewed again and again until its context is left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from edgekernel.core.errors import ForbiddenError, InvalidValueError
from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.documents import read_document, read_status
from edgekernel.mqtt.fleet.errors import NoAnswerError, RequestRefusedError
from edgekernel.mqtt.fleet.listening import Arrival, Listener
from edgekernel.mqtt.fleet.node_schema import LeaseSchema
from edgekernel.mqtt.fleet.results import LeaseState
from edgekernel.mqtt.fleet.sealing import Seal
from edgekernel.mqtt.topics import segment

_PER_TIMEOUT = 3
"""How often a lease is renewed within its time: two may be lost."""

_ROOM = 100
"""Changes that wait for whoever asks; of more the oldest are dropped."""

SealFor = Callable[[str], Seal]
"""Returns how what is sent to a start of the node is sealed."""


class HeldLease:
    """One lease of one node, held by this client while the context lasts; from any thread.

    Entering holds it, or raises what keeps it from that. Then a thread of its own renews it every
    `every_s` seconds, and goes on to try whatever happens. `held` is False as soon as the node
    may have lost it: nothing came back for `terms.timeout_s`, the node refuses, is offline or has
    started anew. `get` tells of each such change. What was set by hand stays safe after a loss.

    Leaving gives the lease up: its outputs go safe at once. If that cannot be told, NoAnswerError
    is raised, and the node does so by itself `terms.timeout_s` after the last renewal, as it does
    if this process is killed; and with `release=False`.
    """

    def __init__(
        self,
        connection: Connection,
        node: str,
        terms: LeaseSchema,
        holder: str,
        *,
        every_s: float | None,
        release: bool,
        boot: str,
        seal_for: SealFor,
    ) -> None:
        """Prepare. Raises InvalidValueError for an `every_s` that is too long for its terms."""
        self.node = node
        self.terms = terms
        self.holder = holder
        self.every_s = terms.timeout_s / _PER_TIMEOUT if every_s is None else every_s
        if not 0 < self.every_s < terms.timeout_s:
            raise InvalidValueError(
                f"lease {terms.name} of {node} is lost after {terms.timeout_s:g} s: renew it more "
                f"often than every {self.every_s:g} s"
            )
        self._connection = connection
        self._clock = connection.clock
        self._release = release
        self._boot = boot
        self._seal_for = seal_for
        self._topic = f"lease/{segment(terms.name)}"
        self._wait_s = max(self.every_s, terms.timeout_s / _PER_TIMEOUT)
        self._until_s = self._clock.monotonic()
        self._told = False
        self._offline = ""
        self._leaving = False
        self._changes: deque[LeaseState] = deque(maxlen=_ROOM)
        self._changed = self._clock.Condition()
        self._thread = self._clock.Thread(self._run, f"lease:{node}/{terms.name}")
        self._listener: Listener | None = None

    @property
    def held(self) -> bool:
        """Whether the node holds its outputs free for this client, as far as is known here."""
        return self._clock.monotonic() < self._until_s

    def get(self, timeout_s: float | None = None) -> LeaseState | None:
        """Return the next change; None if there is none within a time, or it was left."""
        end_s = None if timeout_s is None else self._clock.monotonic() + timeout_s
        with self._changed:
            while not self._changes and not self._leaving:
                left_s = None if end_s is None else end_s - self._clock.monotonic()
                if left_s is not None and left_s <= 0:
                    return None
                self._changed.wait(left_s)
            return self._changes.popleft() if self._changes else None

    def during(self, seconds: float | None) -> Iterator[LeaseState]:
        """Yield the changes of so many seconds; without them until it is left."""
        end_s = None if seconds is None else self._clock.monotonic() + seconds
        while True:
            left_s = None if end_s is None else max(0.0, end_s - self._clock.monotonic())
            change = self.get(left_s)
            if change is None:
                return
            yield change

    def __enter__(self) -> Self:
        sent_s = self._clock.monotonic()
        self._ask({}, self._connection.timeout_s)
        self._until_s = sent_s + self.terms.timeout_s
        self._told = True
        self._listener = self._connection.listen((f"{self.node}/status",))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        if self._listener is not None:
            self._connection.leave(self._listener)
        self._thread.join()
        if self._release and not self._offline:
            self._give_up(error)
        self._until_s = self._clock.monotonic()

    def _give_up(self, error: BaseException | None) -> None:
        try:
            self._ask({"release": True}, self._connection.timeout_s)
        except RequestRefusedError:
            return  # it is another's, or nobody's: the outputs are safe
        except (NoAnswerError, ForbiddenError) as failure:
            text = (
                f"lease {self.terms.name} of {self.node} was not given up, and ends by itself "
                f"{self.terms.timeout_s:g} s after its last renewal: {failure}"
            )
            if error is None:
                raise type(failure)(text) from failure
            error.add_note(text)

    def _run(self) -> None:
        due_s = self._clock.monotonic() + self.every_s
        while not self._leaving:
            if not self.held:
                self._tell(False, f"no answer for {self.terms.timeout_s:g} s")
            now_s = self._clock.monotonic()
            if now_s >= due_s and not self._offline:
                due_s = now_s + self.every_s
                self._renew()
            if self._listens(due_s):
                due_s = self._clock.monotonic()

    def _listens(self, due_s: float) -> bool:
        """Wait for a renewal to be due; return whether it is at once, as the node has started."""
        assert self._listener is not None
        end_s = min(due_s, self._until_s) if self._told else due_s
        left_s = None if self._offline else max(0.0, end_s - self._clock.monotonic())
        arrival = self._listener.get(left_s)
        if not isinstance(arrival, Arrival):
            return False
        document = read_document(arrival.payload)
        if document is None:
            return False
        status = read_status(self.node, document)
        if not status.online:
            self._offline = status.cause or "no reason given"
            self._lost(f"{self.node} is offline: {self._offline}")
            return False
        back, self._offline = bool(self._offline), ""
        if status.boot == self._boot:
            return back
        self._boot = status.boot
        self._lost(f"{self.node} has started anew")
        return True

    def _renew(self) -> None:
        sent_s = self._clock.monotonic()
        try:
            self._ask({}, self._wait_s)
        except (RequestRefusedError, ForbiddenError) as error:
            self._lost(str(error))
        except NoAnswerError:
            return  # until the time of the last one is over, it is held
        else:
            self._until_s = sent_s + self.terms.timeout_s  # for the node from its arrival on
            self._tell(True, "")

    def _lost(self, reason: str) -> None:
        self._until_s = self._clock.monotonic()
        self._tell(False, reason)

    def _tell(self, held: bool, reason: str) -> None:
        if held != self._told:
            self._told = held
            with self._changed:
                self._changes.append(LeaseState(held, reason))
                self._changed.notify()

    def _ask(self, body: dict[str, object], timeout_s: float) -> None:
        seal, asked = self._seal_for(self._boot), {"holder": self.holder, **body}
        self._connection.ask(self.node, self._topic, asked, timeout_s, seal)
