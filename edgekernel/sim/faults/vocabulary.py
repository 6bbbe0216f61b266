"""The words of fault plans: every kind of fault there is, and what it can be with."""

from __future__ import annotations

from edgekernel.core.errors import UnknownTargetError, nearest
from edgekernel.sim.faults.agent import AgentKilled, PowerCut
from edgekernel.sim.faults.broker import (
    BrokerAway,
    BrokerDuplicates,
    BrokerHalfOpen,
    BrokerLate,
    BrokerRefuses,
    BrokerSlow,
)
from edgekernel.sim.faults.bus import BitErrors, Hang, Nack, Slow, Stuck
from edgekernel.sim.faults.clocks import ClockDrift, ClockStep
from edgekernel.sim.faults.disk import DiskFull, DiskSlow
from edgekernel.sim.faults.fault import FaultKind
from edgekernel.sim.faults.lines import Bounce, LostEdges, StuckLine, Welded
from edgekernel.sim.faults.plugs import Unplug
from edgekernel.sim.faults.quantities import Drift, Frozen, Noise, Offset, Set, Spike
from edgekernel.sim.faults.serial import Garbage, LostBytes

KINDS: tuple[type[FaultKind], ...] = (
    AgentKilled,
    BitErrors,
    Bounce,
    BrokerAway,
    BrokerDuplicates,
    BrokerHalfOpen,
    BrokerLate,
    BrokerRefuses,
    BrokerSlow,
    ClockDrift,
    ClockStep,
    DiskFull,
    DiskSlow,
    Drift,
    Frozen,
    Garbage,
    Hang,
    LostBytes,
    LostEdges,
    Nack,
    Noise,
    Offset,
    PowerCut,
    Set,
    Slow,
    Spike,
    Stuck,
    StuckLine,
    Unplug,
    Welded,
)
"""All of them; `stuck` is one thing for a bus and another for a line."""


def kind_of(word: str, target: str) -> type[FaultKind]:
    """Return what a word means with a target ("device", "bus", ...; empty for none).

    Where it does not go with that target, what it means with others: it says so itself. Raises
    UnknownTargetError with a suggestion for a word that there is not, or that means different
    things with different targets and has none.
    """
    found = [kind for kind in KINDS if kind.word == word]
    if not found:
        words = sorted({kind.word for kind in KINDS})
        raise UnknownTargetError(f"no kind of fault {word!r}{nearest(word, words)}")
    if not target and len(found) > 1:
        targets = " or ".join(each for kind in found for each in kind.on)
        raise UnknownTargetError(f"{word} is with one {targets}; name it")
    fitting = [kind for kind in found if target in kind.on]
    return (fitting or found)[0]
