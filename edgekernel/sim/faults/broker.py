"""Faults of the MQTT broker and of the links to it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Annotated

from annotated_types import Gt, Le

from edgekernel.sim.broker import SimBroker
from edgekernel.sim.broker.troubles import Troubles, never
from edgekernel.sim.faults.fault import End, FaultKind
from edgekernel.sim.faults.site import Site


class _WithBroker(FaultKind):
    """A fault of the broker that takes part in the simulation."""

    def misfit(self, site: Site) -> str:
        """Say that there is none."""
        if site.bench.broker is not None:
            return ""
        return (
            f"not possible in this run: {self.word} needs an MQTT broker that takes part in it, "
            "and there is none; does the node file have an [mqtt] table?"
        )

    def broker(self, site: Site) -> SimBroker:
        """Return the broker."""
        assert site.bench.broker is not None, "it was asked for a misfit before"
        return site.bench.broker

    def troubles(self, site: Site) -> Troubles:
        """Return what can be wrong with the broker."""
        return self.broker(site).troubles


@dataclass(frozen=True)
class BrokerAway(_WithBroker):
    """The broker is gone: connections end, and new ones are refused. When it comes back it has lost
    what it had retained, unless it `keeps` that."""

    word = "broker_away"
    keeps: bool = False

    def begin(self, site: Site, random: Random) -> End:
        """Stop it."""
        broker = self.broker(site)

        def apply(keeps: bool | None) -> None:
            if keeps is None:
                broker.start()
            else:
                broker.stop(forget=not keeps)

        return site.overlay(("broker_away",), apply, self.keeps)


@dataclass(frozen=True)
class BrokerHalfOpen(_WithBroker):
    """The link is half open: nothing comes through, and nobody says that it is closed. Links from
    before stay dead; new ones can be made when it is over."""

    word = "broker_half_open"

    def begin(self, site: Site, random: Random) -> End:
        """Let nothing through."""
        broker = self.broker(site)

        def apply(dead: bool | None) -> None:
            broker.troubles.dead_air = bool(dead)
            if dead:
                broker.deaden()

        return site.overlay(("broker_half_open",), apply, True)


@dataclass(frozen=True)
class BrokerDuplicates(_WithBroker):
    """A `share` of the messages is delivered twice, as QoS 1 allows."""

    word = "broker_duplicates"
    share: Annotated[float, Gt(0), Le(1)] = 0.1

    def begin(self, site: Site, random: Random) -> End:
        """Deliver some twice from now on."""
        troubles = self.troubles(site)

        def apply(share: float | None) -> None:
            troubles.duplicates = never if share is None else lambda: random.random() < share

        return site.overlay(("broker_duplicates",), apply, self.share)


@dataclass(frozen=True)
class BrokerLate(_WithBroker):
    """Messages are delivered up to `by` seconds late, by chance, in order per topic."""

    word = "broker_late"
    durations = ("by",)
    by: Annotated[float, Gt(0)] = 5.0

    def begin(self, site: Site, random: Random) -> End:
        """Deliver late from now on."""
        troubles = self.troubles(site)

        def apply(by: float | None) -> None:
            troubles.lateness_s = None if by is None else lambda: random.uniform(0, by)

        return site.overlay(("broker_late",), apply, self.by)


@dataclass(frozen=True)
class BrokerSlow(_WithBroker):
    """Each acknowledgement of a message comes `takes` seconds later, as of a broker that is
    overloaded or waits for its disk."""

    word = "broker_slow"
    durations = ("takes",)
    takes: Annotated[float, Gt(0)] = 1.0

    def begin(self, site: Site, random: Random) -> End:
        """Acknowledge late from now on."""
        troubles = self.troubles(site)

        def apply(takes: float | None) -> None:
            troubles.ack_delay_s = takes or 0.0

        return site.overlay(("broker_slow",), apply, self.takes)


@dataclass(frozen=True)
class BrokerRefuses(_WithBroker):
    """The broker lets nobody in, as when passwords have changed: connections end, and clients are
    refused."""

    word = "broker_refuses"

    def begin(self, site: Site, random: Random) -> End:
        """Throw everybody out."""
        broker = self.broker(site)

        def apply(refuses: bool | None) -> None:
            broker.troubles.refuses = bool(refuses)
            if refuses:
                broker.cut_all()

        return site.overlay(("broker_refuses",), apply, True)
