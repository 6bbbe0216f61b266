"""Faults of what is around a node beyond its board: the broker.

They are words of a plan, so that one plan can hold all that shall go wrong. Who plays them brings
the run they are possible in; where nobody does they are refused when the plan is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Gt, Le

from edgekernel.sim.faults.fault import FaultKind
from edgekernel.sim.faults.site import Site


class _Elsewhere(FaultKind):
    """A fault that needs something of the run."""

    needs: ClassVar[str]

    def misfit(self, site: Site) -> str:
        """Say what is missing."""
        return f"not possible in this run: {self.word} needs {self.needs}"


class _WithBroker(_Elsewhere):
    needs = "an MQTT broker that takes part in it, and there is none"


@dataclass(frozen=True)
class BrokerAway(_WithBroker):
    """The broker is gone: connections end, and new ones are refused."""

    word = "broker_away"


@dataclass(frozen=True)
class BrokerHalfOpen(_WithBroker):
    """The link is half open: nothing comes through, and nobody says that it is closed."""

    word = "broker_half_open"


@dataclass(frozen=True)
class BrokerDuplicates(_WithBroker):
    """A `share` of the messages is delivered twice, as QoS 1 allows."""

    word = "broker_duplicates"
    share: Annotated[float, Gt(0), Le(1)] = 0.1


@dataclass(frozen=True)
class BrokerLate(_WithBroker):
    """Messages are delivered up to `by` seconds late, by chance, in order per topic."""

    word = "broker_late"
    durations = ("by",)
    by: Annotated[float, Gt(0)] = 5.0
