"""Assembly: one part of a runtime put up, taken down or exchanged, with all that hangs on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgekernel.core import message
from edgekernel.core.context import Host
from edgekernel.core.device import Device
from edgekernel.core.errors import LifecycleError, describe, of_user_code
from edgekernel.core.gate import Gate
from edgekernel.core.parts import Parts
from edgekernel.core.poller import Poller
from edgekernel.core.stopping import Stopping
from edgekernel.core.unit import Unit, UnitState


class Assembly:
    """Puts units up and takes them down, one at a time; inside the gate."""

    def __init__(self, runtime: Host, parts: Parts, gate: Gate, limit_s: float) -> None:
        """Work on `parts`; what hangs while it is taken down is passed over within `limit_s`."""
        self._runtime = runtime
        self._parts = parts
        self._gate = gate
        self._limit_s = limit_s
        self.when_struck: Callable[[Unit], object] = lambda unit: None
        """Is told of each unit that has gone for good."""

    def start(self, unit: Unit) -> None:
        """Start a unit; raises what kept it from starting: then `undo` takes down what stands."""
        try:
            self._start(unit)
        except Exception:
            raise
        except BaseException as error:  # would end a thread of the runtime without a word
            what = describe(of_user_code(error))[0]
            raise LifecycleError(f"{unit.name}: its start ended with {what}") from error

    def _start(self, unit: Unit) -> None:
        try:
            unit.attach()
        except BaseException:
            unit.unbind()
            raise
        self._parts.standing.append(unit)  # from here on a shutdown calls stop and detach
        self._must_go_on(unit)
        if unit.is_service:
            self.supervise(unit)
        else:
            unit.begin()
            self._must_go_on(unit)  # it may have asked for the shutdown itself
            unit.enter()
        unit.present()
        if unit.is_device and self._parts.poller_of(unit.part) is None:
            self.poll(unit.part)

    def _must_go_on(self, unit: Unit) -> None:
        if self._runtime.phase.ending:
            raise LifecycleError(f"{unit.name}: not started: the runtime is {self._runtime.phase}")

    def set_ticking(self, unit: Unit) -> None:
        """Start the thread of a service, unless the boot has yet to do it with all others."""
        if unit.supervised is not None and unit.part.enabled and self._runtime.phase.booted:
            unit.supervised.start()

    def supervise(
        self,
        unit: Unit,
        begin: Callable[[], object] | None = None,
        enter: Callable[[], object] | None = None,
    ) -> None:
        """Give a unit that is a service its supervisor."""
        from edgekernel.core.supervised import Supervised  # only where there is a service

        unit.supervised = Supervised(
            unit.part,
            unit.context,
            begin=begin or unit.begin,
            enter=enter or unit.enter,
            leave=partial(self._rest, unit),
            watchdog=self._runtime.services.watchdog,
            gave_up=partial(self._runtime.fault, unit.name),
            lost=partial(self._lost, unit),
            holder=unit.holder,
        )

    def _lost(self, unit: Unit) -> None:
        """Let fall back what a service has set that does not tick any more, unless it is replaced,
        replaces another one or is taken out: who does that sees to it."""
        if unit.state is not UnitState.STOPPING and unit not in self._parts.coming:
            unit.let_go()

    def _rest(self, unit: Unit) -> None:
        """End one run of a service; its effects drive no more, unless it is replaced."""
        unit.leave()
        if unit.state is not UnitState.STOPPING:
            unit.fall_back()
        try:
            unit.deactivate()
        except BaseException as error:
            failure = describe(of_user_code(error))
            self._runtime.emit(message.ComponentFailed(unit.name, *failure))

    def poll(self, device: Device) -> None:
        """See to it that a device is polled, by a new poller if it is the first of its group."""
        poller = self._parts.poll(device)
        if poller is not None:
            self.start(poller)
            self.set_ticking(poller)

    def poll_no_more(self, device: Device) -> None:
        """Let a device be left alone from now on."""
        poller = self._parts.poller_of(device)
        if poller is not None:
            poller.part.remove(device)

    def drop_idle_pollers(self) -> None:
        """Take out the pollers that have nothing to do."""
        for unit in list(self._parts.units.values()):
            if isinstance(unit.part, Poller) and not unit.part.devices:
                self.take_out(unit)

    def undo(self, unit: Unit) -> None:
        """Take down what of a unit and its children stands; failures are passed over."""
        for child in reversed(self._parts.family(unit)[1:]):
            self._take_down(child)
            self._strike(child)
        self._take_down(unit)

    def take_out(self, unit: Unit) -> None:
        """Take a unit and its children down and off the list."""
        self.undo(unit)
        self._strike(unit)
        if unit.is_device:
            self.drop_idle_pollers()

    def _strike(self, unit: Unit) -> None:
        self._parts.strike(unit)
        self.when_struck(unit)

    def _take_down(self, unit: Unit) -> None:
        if unit.is_device:
            self.poll_no_more(unit.part)  # also while it is connected again
        if unit in self._parts.standing:
            self.stopping().retire(unit)
            self._parts.standing.remove(unit)
        unit.unbind()

    def suspend(self, unit: Unit, why: str) -> None:
        """Take a unit down that cannot go on now; it waits for what it requires."""
        self.undo(unit)
        unit.state, unit.error = UnitState.WAITING, why
        missing = tuple(unit.unmet())
        self._runtime.emit(message.ComponentWaiting(unit.name, missing))

    def stopping(self) -> Stopping:
        """Return what takes units down, its time running from now."""
        return Stopping(self._runtime, self._gate, self._limit_s)
