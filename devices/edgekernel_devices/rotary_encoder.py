"""An incremental rotary encoder: two lines whose order of changes says which way it turns."""

from typing import Annotated, Literal

from annotated_types import Gt

from edgekernel import Device, command, reading
from edgekernel.hal import DigitalInput, Edge, Pull

_PLACE = (0, 3, 1, 2)
"""The place in a cycle forward, by the levels of A and B as two bits: 00, 10, 11, 01."""

_ON_ITS_WAY_NS = 50_000_000  # longer than an edge takes from the kernel to here


class RotaryEncoder(Device):
    """An incremental encoder with outputs A and B, 90° apart: a knob, or a motor's shaft.

    Wiring: A and B to two lines, common to ground, with the lines' own pull-ups (the defaults).
    Encoders of motors drive both levels: `pull = "none"`, and a divider if they do so with 5 V.

    `a` and `b` are the lines; swap them if it counts backward. `pull` is the resistor that holds
    them. `counts_per_step` is how many of the four changes of a cycle make one step: 4 for
    knobs with one click a cycle, 2 for those with two, 1 for full resolution. `per_step` is what
    one step is worth, such as an angle or a length.

    Readings: `position`, the steps since the start or the last `reset` times `per_step`, and
    `lost`, the number of times when changes were found to be missing: they came faster than they
    can be seen, which is some thousand a second. A contact that bounces goes back and forth and
    counts nothing.
    """

    every = 10.0

    position = reading(float, precision=2)
    lost = reading(int)

    def __init__(
        self,
        id: str,
        *,
        a: DigitalInput,
        b: DigitalInput,
        pull: Literal["up", "down", "none"] = "up",
        counts_per_step: Literal[1, 2, 4] = 4,
        per_step: Annotated[float, Gt(0)] = 1.0,
    ) -> None:
        super().__init__(id)
        self._a, self._b = a, b
        self._pull = Pull(pull)
        self._counts_per_step = counts_per_step
        self._per_step = per_step

    def connect(self) -> None:
        """Claim the lines and begin at position 0."""
        self._lock = self.clock.Lock()  # around the variables below, never around handlers
        with self._lock:  # an edge that comes now waits until they are there
            self._counts = self._lost = 0
            self._a.open(self._pull, self._on_a)
            self._b.open(self._pull, self._on_b)
            self._levels = self._read()
            self._changed_ns = self.clock.monotonic_ns()
        self._report()

    def disconnect(self) -> None:
        """Give the lines back."""
        try:
            self._a.close()
        finally:
            self._b.close()

    def poll(self) -> None:
        """Find changes that got lost on the way."""
        now_ns = self.clock.monotonic_ns()
        levels = self._read()
        with self._lock:
            if levels != self._levels and now_ns - self._changed_ns > _ON_ITS_WAY_NS:
                self._lost += 1
                self._turn_to(levels, now_ns)
        self._report()

    @command
    def reset(self) -> None:
        """Call the present position 0."""
        with self._lock:
            self._counts = 0
        self._report()

    def _on_a(self, edge: Edge) -> None:
        self._on_edge(0b01, edge.level << 1, edge.monotonic_ns)

    def _on_b(self, edge: Edge) -> None:
        self._on_edge(0b10, int(edge.level), edge.monotonic_ns)

    def _on_edge(self, other: int, level: int, at_ns: int) -> None:
        with self._lock:
            levels = self._levels & other | level
            if levels == self._levels:  # the change between this one and the last got lost
                self._lost += 1
            self._turn_to(levels, at_ns)
        self._report()

    def _turn_to(self, levels: int, at_ns: int) -> None:
        """Count one change forward or backward, or none if two say nothing of the direction."""
        step = (_PLACE[levels] - _PLACE[self._levels]) % 4
        self._counts += {0: 0, 1: 1, 2: 0, 3: -1}[step]
        self._levels, self._changed_ns = levels, at_ns

    def _report(self) -> None:
        half = self._counts_per_step // 2  # a click is in the middle of its step
        self.position.update((self._counts + half) // self._counts_per_step * self._per_step)
        self.lost.update(self._lost)

    def _read(self) -> int:
        return self._a.read() << 1 | self._b.read()
