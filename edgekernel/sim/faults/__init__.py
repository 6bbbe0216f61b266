"""Fault plans: what goes wrong with a simulated node, and when."""

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
from edgekernel.sim.faults.fault import Fault, FaultKind
from edgekernel.sim.faults.lines import Bounce, LostEdges, StuckLine, Welded
from edgekernel.sim.faults.messages import FaultBegan, FaultEnded
from edgekernel.sim.faults.player import FaultPlayer
from edgekernel.sim.faults.plugs import Unplug
from edgekernel.sim.faults.quantities import Drift, Frozen, Noise, Offset, Set, Spike
from edgekernel.sim.faults.serial import Garbage, LostBytes
from edgekernel.sim.faults.site import Site
from edgekernel.sim.faults.stage import AroundBench, Stage
from edgekernel.sim.faults.vocabulary import KINDS, kind_of

__all__ = [
    "KINDS",
    "AgentKilled",
    "AroundBench",
    "BitErrors",
    "Bounce",
    "BrokerAway",
    "BrokerDuplicates",
    "BrokerHalfOpen",
    "BrokerLate",
    "BrokerRefuses",
    "BrokerSlow",
    "ClockDrift",
    "ClockStep",
    "DiskFull",
    "DiskSlow",
    "Drift",
    "Fault",
    "FaultBegan",
    "FaultEnded",
    "FaultKind",
    "FaultPlayer",
    "Frozen",
    "Garbage",
    "Hang",
    "LostBytes",
    "LostEdges",
    "Nack",
    "Noise",
    "Offset",
    "PowerCut",
    "Set",
    "Site",
    "Slow",
    "Spike",
    "Stage",
    "Stuck",
    "StuckLine",
    "Unplug",
    "Welded",
    "kind_of",
]
