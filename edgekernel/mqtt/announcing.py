"""What a node says of itself: who it is and what it has when it comes, and how it is from time to
time."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from typing import Any

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.context import Context
from edgekernel.core.errors import describe
from edgekernel.core.messages import Message
from edgekernel.core.time_quality import is_simulated, system_quality
from edgekernel.core.version import VERSION
from edgekernel.mqtt.about import About
from edgekernel.mqtt.encoding import encode, to_plain_or_text
from edgekernel.mqtt.health import Health
from edgekernel.mqtt.signatures import Signatures
from edgekernel.mqtt.topics import Topics

EVERY_S = 30.0
"""How often the health is published."""
_EVERY_NS = round(EVERY_S * NANOSECONDS)
_END_S = 0.5

CHANGES = (
    message.HotAdded,
    message.HotRemoved,
    message.HotUpdated,
    message.ComponentStarted,
    message.ComponentStopped,
    message.RuntimeDegraded,
    message.RuntimeRecovered,
)
"""After these the schema may be another one."""

Schema = Mapping[str, Any]
Retain = Callable[[str, bytes], object]


class Announcing:
    """Publishes schema and info when they change, and the health every 30 s.

    On a thread of its own: to describe commands takes too long for a turn on a small board.
    """

    def __init__(
        self,
        ctx: Context,
        topics: Topics,
        about: About,
        boot: str,
        retain: Retain,
        health: Health,
        described: Callable[[Schema], object] = lambda schema: None,
        signatures: Signatures | None = None,
    ) -> None:
        """Prepare; `retain` publishes what is kept, `health` publishes itself, and `described` is
        given the schema when it may have changed. It says whose `signatures` count."""
        self._signed = {} if signatures is None else {"signatures": signatures.describe()}
        self._ctx = ctx
        self._topics = topics
        self._about = about
        self._boot = boot
        self._retain = retain
        self._health = health
        self._on_described = described
        clock = ctx.clock
        self._simulated = is_simulated(clock)
        self._described = clock.Lock()
        self._asked = clock.Event()
        self._closing = False
        self._is_known = False
        self._quality = ""
        self._due_ns = clock.monotonic_ns() + _EVERY_NS  # or when there is a link
        self._thread = clock.Thread(self._run, f"{ctx.runtime.name}:announcing")
        self._started = False

    def start(self) -> None:
        """Begin; the runtime has booted."""
        self._started = True
        self._thread.start()

    def describe(self) -> None:
        """Let schema and info be known, if they are not."""
        with self._described:
            if not self._is_known:
                self._guarded(self._describe)

    def connected(self) -> None:
        """Called by the link: let schema and info be there before the status vouches for them."""
        self.describe()
        self._due_ns = 0
        self._asked.set()

    def noticed(self, payload: Message) -> None:
        """Look again if a message tells of a change; not while everything is being stopped."""
        if isinstance(payload, message.RuntimeShuttingDown):
            self._closing = True
        elif isinstance(payload, CHANGES):
            self._is_known = False
            self._asked.set()

    def renew(self, about: About) -> None:
        """Publish the info with what has changed in it."""
        self._about = about
        self._is_known = False
        self._asked.set()

    def close(self) -> None:
        """End the thread; what is retained stays."""
        self._closing = True
        self._asked.set()
        if self._started:
            self._thread.join(_END_S)

    def _run(self) -> None:
        while not self._closing:
            self._guarded(self._look)
            self._ctx.clock.wait_until(self._asked, self._due_ns)
            self._asked.clear()

    def _look(self) -> None:
        with self._described:
            self._describe()
        now_ns = self._ctx.clock.monotonic_ns()
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + _EVERY_NS
            self._health.publish()

    def _guarded(self, step: Callable[[], object]) -> None:
        """Report what a part raises that is described; it is looked at again at the next change."""
        try:
            step()
        except Exception as error:
            told = message.InterfaceError(self._ctx.source, "announcing", *describe(error))
            self._ctx.runtime.post(told, self._ctx.source)

    def _describe(self) -> None:
        """Publish schema and info if they may have changed."""
        from edgekernel.node.schema import describe_node  # pydantic: not before it is needed

        quality = "simulated" if self._simulated else system_quality()
        if self._is_known and quality == self._quality:
            return
        self._is_known, self._quality = True, quality  # first: a change meanwhile is looked at
        schema = describe_node(self._ctx.runtime) | self._signed
        self._retain(self._topics.schema, encode(to_plain_or_text(schema)))
        self._retain(self._topics.info, encode(self._info()))
        self._on_described(schema)

    def _info(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "board": self._about.board,
            "host": "simulated" if self._simulated else platform.node(),
            "config": self._about.config,
            "boot": self._boot,
            "restart_cause": self._about.restart_cause,
            "restart_detail": self._about.restart_detail,
            "time_quality": self._quality,
            "layout": self._topics.form.layout,
            "payloads": self._topics.form.payloads,
            "labels": dict(self._about.labels),
        }
