"""A fault: what is wrong, with which part of the node, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from random import Random
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from edgekernel.sim.faults.site import Site

End = Callable[[], object]
"""Heals what a fault has done."""

TARGETS = ("device", "bus", "port", "line", "world")
"""What a fault can be with; those of the clock, agent, broker and disk name nothing."""


def end_all(ends: Iterable[End]) -> End:
    """Return what heals several things."""
    found = list(ends)

    def end() -> None:
        for each in found:
            each()

    return end


class FaultKind:
    """A way in which something can be wrong; each is a frozen dataclass with its settings."""

    word: ClassVar[str]
    """What a plan calls it."""
    on: ClassVar[tuple[str, ...]] = ()
    """The targets that it can be with; empty if it names none."""
    lasting: ClassVar[bool] = True
    """Whether it goes on until it is healed."""
    ends_agent: ClassVar[bool] = False
    """Whether the agent is gone with its beginning, and has to be told before."""
    durations: ClassVar[tuple[str, ...]] = ()
    """The settings that a plan may write as "20ms"."""

    def misfit(self, site: Site) -> str:
        """Say why it cannot be at this site; empty if it can."""
        return ""

    def begin(self, site: Site, random: Random) -> End:
        """Let it begin; return what heals it. Chance comes from `random` only."""
        raise NotImplementedError

    def settings(self) -> str:
        """Return the settings that are not as they are by default, as a text."""
        found: list[str] = []
        for each in fields(self):  # type: ignore[arg-type]  # every kind is a dataclass
            value = getattr(self, each.name)
            if value != each.default:
                found.append(f"{each.name}={_written(value)}")
        return ", ".join(found)


def _written(value: object) -> str:
    """Write a setting as a plan has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a plan. Times are simulated seconds since the node has started.

    It begins at `at_s`; with `every_s` again and again, `times` times at most, each time with a
    `probability` by the seed. It is healed after `for_s`, without that at the end of the run. It is
    with one of `device`, `bus`, `port`, `line` and `world`, or with none of them.
    """

    what: FaultKind
    device: str = ""
    bus: str = ""
    port: str = ""
    line: str = ""
    world: str = ""
    at_s: float = 0.0
    for_s: float | None = None
    every_s: float | None = None
    times: int | None = None
    probability: float = 1.0

    @property
    def targets(self) -> dict[str, str]:
        """What it names."""
        return {sort: name for sort in TARGETS if (name := getattr(self, sort))}

    @property
    def target(self) -> str:
        """What it is with, in words: "device room"."""
        return " ".join(part for pair in self.targets.items() for part in pair)

    @property
    def ends_by_itself(self) -> bool:
        """Whether its end is no time of the plan: when it has happened so many times, or when the
        node has cleared a bus."""
        counted = getattr(self.what, "count", None) is not None
        cleared = getattr(self.what, "until", "released") != "released"
        return self.for_s is None and (counted or cleared)

    def mistakes(self) -> Iterator[str]:
        """Say what is wrong with it whatever the node, each beginning with the key."""
        kind, named = self.what, self.targets
        if not kind.on and named:
            yield f"{next(iter(named))}: {kind.word} is with no part of the node; take this out"
        elif kind.on and len(named) != 1:
            allowed = " or ".join(kind.on)
            yield f"kind: {kind.word} is with one {allowed}; name it"
        elif kind.on and not set(named) <= set(kind.on):
            yield f"{next(iter(named))}: {kind.word} is with a {' or '.join(kind.on)}"
        if not kind.lasting and self.for_s is not None:
            yield f"for: {kind.word} is over at once; take this out"
        yield from self._mistakes_in_time()

    def _mistakes_in_time(self) -> Iterator[str]:
        if self.times is not None and self.every_s is None:
            yield "times: needs `every`"
        if self.every_s is None or not self.what.lasting:
            return
        if self.for_s is None:
            yield "for: is missing; what comes again and again has to end"
        elif self.for_s >= self.every_s:
            yield f"for: {self.for_s:g} s is not shorter than `every`, {self.every_s:g} s"
