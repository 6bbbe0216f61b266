"""Simulation: the clock, the board and the nodes of one test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from edgekernel.core.errors import InvalidValueError, UnknownTargetError, nearest
from edgekernel.testing.boundaries import Boundaries
from edgekernel.testing.current import running
from edgekernel.testing.events import Events
from edgekernel.testing.times import moment, span
from edgekernel.testing.watch import Watch, in_words

if TYPE_CHECKING:
    from edgekernel.backends.sim import SimBackend
    from edgekernel.core.runtime import Runtime
    from edgekernel.testing.broker import Broker
    from edgekernel.testing.node import Node

_DAY_S = 86400.0
_PATIENCE_S = 1.0
"""Simulated seconds for the fibers to end in."""


class Simulation:
    """Simulated time and a simulated board, with whatever a test puts on them.

    `clock` is the SimClock, made with `seed`. `board` is the simulated board: its lines, buses and
    ports by name, as `board.line("GPIO17").drive(True)`. `events` are the events of all runtimes
    that it has booted. `close` ends it.
    """

    def __init__(self, seed: int | None = None) -> None:
        """Begin at simulated midnight; `seed` chooses the order of what is due at once."""
        from edgekernel.sim import SimClock

        self.clock = SimClock(seed=seed)
        self.events = Events(self.clock)
        self.boundaries = Boundaries()
        """What is open on the boards."""
        self.nodes: list[Node] = []
        self._boards: list[SimBackend] = []
        self._ends: list[Callable[[str], object]] = []
        self._broker: Broker | None = None
        self.board = self.make_board()
        running.append(self)

    @property
    def seed(self) -> int | None:
        """What chooses the order of what is due at once; None: the order of waiting."""
        return self.clock.seed

    @property
    def broker(self) -> Broker:
        """The MQTT broker, on which each node is whose file has an `[mqtt]` table."""
        if self._broker is None:
            from edgekernel.testing.broker import Broker

            self._broker = Broker(self.clock)
        return self._broker

    def run(self, seconds: float) -> None:
        """Let simulated time pass, with everything that happens in it.

        Raises InvalidValueError for a time that cannot pass: it is most likely a slip.
        """
        if not 0 <= seconds < inf:
            raise InvalidValueError(f"seconds: {seconds} cannot pass; 0 or more can")
        self.clock.advance(seconds)

    def run_until(
        self, until: Callable[[], bool] | datetime | float, *, within: float = _DAY_S
    ) -> float:
        """Let time pass until a condition holds; return how many seconds that took.

        `until` is a function that is asked at every moment at which something happens; raises
        AssertionError unless it holds `within` so many seconds. It may also be a wall time, or a
        time in seconds since the start.
        """
        __tracebackhide__ = True
        begun_ns = self.clock.monotonic_ns()
        if not self.clock.run_until(until, within):
            raise AssertionError(
                f"{in_words(until)}: did not come within {span(within)} "
                f"(now {moment(self.clock.monotonic_ns())})"
            )
        return (self.clock.monotonic_ns() - begun_ns) / 1e9

    def watch(self, condition: Callable[[], object], what: str = "") -> Watch:
        """Look at a condition from now on; `what` says it in words for the failure."""
        return Watch(self.clock, condition, what)

    def chip(self, device: str) -> Any:
        """Return the simulated chip of a node's device; its quantities are plain attributes."""
        return self._node_with(device).bench.chip(device)

    def press(self, device: str, seconds: float = 0.2) -> None:
        """Press a node's button; it returns at once, and the release comes by itself."""
        self._node_with(device).bench.press(device, seconds)

    @property
    def world(self) -> Any:
        """The world that the node's `[sim]` table names; with several ask the node's `worlds`."""
        return self._the_only([node for node in self.nodes if node.worlds], "a world").world

    def make_board(self) -> SimBackend:
        """Make one more board on this clock."""
        from edgekernel.backends.sim import SimBackend

        board = SimBackend(self.clock)
        self.boundaries.watch(board)
        self._boards.append(board)
        return board

    def boot(self, runtime: Runtime) -> None:
        """Boot a runtime on this clock, its events kept; it is shut down at the end."""
        self.events.listen_to(runtime)
        self._ends.append(runtime.shutdown)
        runtime.boot()

    def start(self, node: Node) -> None:
        """Boot a node on this clock; it is shut down at the end."""
        simulated = node.simulated
        self._ends.append(simulated.stop)
        simulated.died.append(partial(self.boundaries.forget, node.board))
        simulated.start()
        self.nodes.append(node)

    def close(self) -> list[str]:
        """Shut down what was booted, and end time; return what was left behind."""
        running.remove(self)
        with self.clock, ExitStack() as closing:
            for board in self._boards:
                closing.callback(board.close)
            if self._broker is not None:
                closing.callback(self._broker.close)
            for end in reversed(self._ends):
                end("the test has ended")
            left = self.boundaries.left()
            closing.close()  # a board may have fibers of its own
            self.clock.run_until(lambda: not self.clock.waiting(), _PATIENCE_S)
            return left + [f"fiber {each}" for each in self.clock.waiting()]

    def _node_with(self, device: str) -> Node:
        nodes = [node for node in self.nodes if device in node.runtime.devices]
        known = [id for node in self.nodes for id in node.runtime.devices]
        if known and not nodes:
            raise UnknownTargetError(f"no node has a device {device!r}{nearest(device, known)}")
        return self._the_only(nodes, f"a device {device!r}")

    def _the_only(self, found: list[Node], what: str) -> Node:
        if not found:
            among = ", ".join(node.name for node in self.nodes) or "there is no node"
            raise UnknownTargetError(f"no node has {what} ({among})")
        if len(found) > 1:
            names = ", ".join(node.name for node in found)
            raise UnknownTargetError(f"several nodes have {what} ({names}): ask the node instead")
        return found[0]
