"""Leases: those of one runtime, and the commands by which controllers hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from edgekernel.core.context import Context, Host
from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError, UnknownTargetError, nearest
from edgekernel.core.lease import Lease, LeaseTerms
from edgekernel.core.markers import command
from edgekernel.core.process import Process


class Leases(Process):
    """The leases of a runtime. Make them before the boot, and register them like any process.

    What needs a lease is safe, or refused, from the boot until somebody holds it. No handler and
    no effect takes part in losing one, so none can delay it.
    """

    name = "leases"

    def __init__(self, host: Host, terms: Mapping[str, LeaseTerms]) -> None:
        """Let outputs and commands of a runtime that has not booted need leases, given by name."""
        self.how: Callable[[str], str] = lambda name: "renew it with leases.renew"
        """Says by what a lease of a name is renewed, for refusals."""
        self._leases = {
            name: Lease(name, each, host, self._say_how) for name, each in terms.items()
        }
        interlocks = host.outputs.join_interlocks()
        for lease in self._leases.values():
            for label in lease.terms.outputs:
                interlocks.require(label, partial(lease.check, device=label.partition(".")[0]))
            for label in lease.terms.commands:
                host.commands.require(label, lease.check)
        host.outputs.leases = self

    def get(self, name: str) -> Lease:
        """Return a lease. Raises UnknownTargetError."""
        found = self._leases.get(name)
        if found is None:
            raise UnknownTargetError(f"no lease {name[:64]!r}{nearest(name, self._leases)}")
        return found

    def _say_how(self, name: str) -> str:
        return self.how(name)

    def start(self, ctx: Context) -> None:
        """Raise ConfigError if there is no such output, or it has no safe value."""
        if problems := list(wrong_outputs(self.terms, ctx.devices)):
            raise ConfigError(*(f"leases.{key}: {text}" for key, text in problems))

    @property
    def terms(self) -> dict[str, LeaseTerms]:
        """What each lease is for, by name."""
        return {name: lease.terms for name, lease in self._leases.items()}

    @command
    def renew(self, lease: str, holder: str = "") -> dict[str, Any]:
        """Hold a lease from now on for the time of its terms; return how it stands.

        A controller does so again and again, in less than that time.
        """
        found = self.get(lease)
        found.renew(holder)
        return found.figures()

    @command
    def release(self, lease: str, holder: str = "") -> dict[str, Any]:
        """Give a lease up that `holder` holds: its outputs go safe at once."""
        found = self.get(lease)
        found.release(holder)
        return found.figures()

    @command
    def status(self) -> dict[str, Any]:
        """Return how each lease stands, by name."""
        return {name: lease.figures() for name, lease in self._leases.items()}


def wrong_outputs(
    terms: Mapping[str, LeaseTerms], devices: Mapping[str, Device]
) -> Iterator[tuple[str, str]]:
    """Give the key, and a sentence, for each output that a lease cannot be for."""
    labels = {each.label: each for device in devices.values() for each in device.outputs.values()}
    for lease, each in terms.items():
        for label in each.outputs:
            if label not in labels:
                yield f"{lease}.outputs", f'"{label}" is no output{nearest(label, labels)}'
            elif labels[label].safe is None:
                yield f"{lease}.outputs", f'"{label}" has no safe value to go to'
