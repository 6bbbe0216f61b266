"""The safe state without the agent: what is attached to a board, brought to its safe values.

For after an end that let the agent do nothing itself, such as `kill -9`. It drives through the
same drivers, but runs neither the application nor a link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from edgekernel.backends.backend import Backend
from edgekernel.core.clock import Clock
from edgekernel.core.errors import BootError, ConfigError, LifecycleError, describe
from edgekernel.core.output import Output
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import LineAddress, ProvidedLine, PwmAddress
from edgekernel.node.assemble import assemble
from edgekernel.node.devices_alone import devices_alone
from edgekernel.node.difference import claims
from edgekernel.node.plan import Plan
from edgekernel.node.planned import Address, PlannedDevice

LIMIT_S = 5.0
"""How long, in seconds, what cannot be driven is tried again unless told otherwise."""

_LOOK_EVERY_S = 0.01
_STOP_LIMIT_S = 1.0
_BOARD = "lines of the board"


@dataclass(frozen=True, slots=True)
class SafeOutput:
    """What came of one output: driven to `safe`, or why it is not. None: it has no safe value.

    `output` is a device whose driver refuses its settings: what outputs it has, nobody knows.
    """

    output: str
    safe: bool | int | float | str | None
    problem: str = ""


class SafeState:
    """The safe values of all that a node may have driven, ready to be driven; touches nothing yet.

    Of several plans each counts with the devices that have what no device before them has. What
    cannot be made, as a driver refuses its settings, keeps nothing else from being safe. Devices
    that an application adds are not known here.
    """

    def __init__(
        self, plans: Sequence[Plan], backend: Callable[[Plan], Backend], clock: Clock
    ) -> None:
        """Make the devices of the plans, each plan's on the backend that `backend` gives for it."""
        self._stages: list[_Stage] = []
        self._clock = clock
        self.took_s = 0.0
        """How long it took, once driven, until each output was safe or given up."""
        taken: set[object] = set()
        refused: list[PlannedDevice] = []
        for plan in plans:
            new = _with_more(plan, taken, refused)
            if new.devices:
                stage = _Stage(new, backend(plan), clock)
                taken.update(each for device in stage.made for each in _claims(device))
                refused += [device for device in new.devices if device not in stage.made]
                self._stages.append(stage)

    def drive(self, limit_s: float = LIMIT_S) -> list[SafeOutput]:
        """Drive every output to its safe value, plan by plan; return what came of each.

        Each bus and port has a thread, and the lines of the board have one: none waits for another
        one that is stuck. What has no outputs is not touched. What cannot be driven is tried again
        for `limit_s` seconds for each plan, and a driver that hangs longer is left to itself.
        Limits, such as how long an output stays on at least, do not count. To be called once.
        """
        since, outcomes = self._clock.monotonic(), []
        for stage in self._stages:
            outcomes += stage.drive(self._clock, limit_s)
            self.took_s = self._clock.monotonic() - since
            stage.close()
        return outcomes

    @property
    def has_outputs(self) -> bool:
        """Whether there is anything to drive, or may be."""
        return any(stage.has_outputs for stage in self._stages)


def make_safe(
    plan: Plan, backend: Backend, clock: Clock, limit_s: float = LIMIT_S
) -> list[SafeOutput]:
    """Drive every output of a plan's devices to its safe value, at once: see `SafeState`."""
    return SafeState([plan], lambda plan: backend, clock).drive(limit_s)


class _Stage:
    """A plan's devices, as far as they can be made."""

    def __init__(self, plan: Plan, backend: Backend, clock: Clock) -> None:
        self._order = [device.id for device in plan.devices]
        self._refused: dict[str, str] = {}
        self._groups: list[_Group] = []  # those with outputs
        self.made: list[PlannedDevice] = []
        for devices in _groups(plan):
            try:
                group = _Group(plan, devices, backend, clock)
            except Exception:  # of a driver: whose, only each alone can tell
                devices = self._without_refused(plan, devices, backend, clock)
                group = _Group(plan, devices, backend, clock)
            self.made += devices
            needed = [each for each in devices if each.id in group.needed(devices)]
            if needed:  # a sensor that hangs keeps no output waiting
                whole = len(needed) == len(devices)
                self._groups.append(group if whole else _Group(plan, needed, backend, clock))

    @property
    def has_outputs(self) -> bool:
        return bool(self._refused or self._groups)

    def drive(self, clock: Clock, limit_s: float) -> list[SafeOutput]:
        for group in self._groups:
            group.start()
        end = clock.monotonic() + limit_s
        while clock.monotonic() < end and not all(group.is_done for group in self._groups):
            clock.sleep(_LOOK_EVERY_S)
        outcomes = [SafeOutput(id, None, why) for id, why in self._refused.items()]
        outcomes += [each for group in self._groups for each in group.outcomes(limit_s)]
        return sorted(outcomes, key=lambda each: self._order.index(_device(each.output)))

    def close(self) -> None:
        """Let go of what was driven."""
        for group in self._groups:
            group.stop()

    def _without_refused(
        self, plan: Plan, devices: Sequence[PlannedDevice], backend: Backend, clock: Clock
    ) -> list[PlannedDevice]:
        """Return the devices that can be made, and note why the others cannot."""
        made = []
        for device in devices:
            try:
                _Group(plan, _with_providers(device, devices), backend, clock)
            except Exception as error:
                known = isinstance(error, ConfigError)
                why = str(error) if known else describe(error)[0]
                self._refused[device.id] = f"it cannot be made, nor can outputs that it has: {why}"
            else:
                made.append(device)
        return made


class _Group:
    """Devices that wait for one another, on a runtime of their own."""

    def __init__(
        self, plan: Plan, devices: Sequence[PlannedDevice], backend: Backend, clock: Clock
    ) -> None:
        self._clock = clock
        self._booted = False
        self._providers = {device.id: device.providers for device in devices}
        kind = partial(Runtime, shutdown_limit_s=_STOP_LIMIT_S)
        self._runtime = assemble(_alone(plan, devices), backend, clock, kind)
        self.outputs = [
            output
            for device in self._runtime.devices.values()
            for output in device.outputs.values()
        ]
        for output in self.outputs:
            output.limits = None

    def needed(self, devices: Sequence[PlannedDevice]) -> set[str]:
        """Return which of its devices have outputs, or lines that such a one uses."""
        having = {_device(output.label) for output in self.outputs}
        return {
            each.id
            for device in devices
            if device.id in having
            for each in _with_providers(device, devices)
        }

    def start(self) -> None:
        self._clock.Thread(self._boot, f"{self._runtime.name}:safe-state").start()

    def _boot(self) -> None:
        with suppress(BootError, LifecycleError):  # what failed is told of each output
            self._runtime.boot()
        self._booted = True

    @property
    def is_done(self) -> bool:
        return self._booted and not any(map(self._problem, self.outputs))

    def outcomes(self, limit_s: float) -> Iterator[SafeOutput]:
        parts = self._runtime.status()["components"]
        for output in self.outputs:
            problem = self._problem(output)
            if problem:
                # Of who waits for another device, that one's reason is the better one.
                concerned = [*self._providers[_device(output.label)], _device(output.label)]
                told = [error for id in concerned if (error := parts[id]["error"])]
                problem = told[0] if told else f"{problem} within {limit_s:g} s"
            yield SafeOutput(output.label, output.safe, problem)

    def stop(self) -> None:
        self._runtime.shutdown("safe state")

    def _problem(self, output: Output[Any]) -> str:
        if not self._runtime.devices[_device(output.label)].attached:
            return "its driver did not come back"
        return "" if output.is_safe or output.safe is None else "not driven"


def _device(output: str) -> str:
    return output.partition(".")[0]


def _claims(device: PlannedDevice) -> frozenset[object]:
    return claims(device) or frozenset({device.id})


def _with_providers(device: PlannedDevice, devices: Sequence[PlannedDevice]) -> list[PlannedDevice]:
    found = [device]
    for each in found:  # which grows meanwhile
        found += [other for other in devices if other.id in each.providers and other not in found]
    return found


def _with_more(plan: Plan, taken: Set[object], refused: Sequence[PlannedDevice]) -> Plan:
    """Return the plan with the devices that have what is not taken, and their providers."""
    new = {
        device.id
        for device in plan.devices
        if not _claims(device) <= taken and device not in refused
    }
    new |= {id for device in plan.devices if device.id in new for id in device.providers}
    return replace(plan, devices=tuple(each for each in plan.devices if each.id in new))


def _groups(plan: Plan) -> list[list[PlannedDevice]]:
    """Return the devices by what they wait for: a bus, a port, or the lines of the board.

    Those that share nothing are apart; who uses lines of another device is with that one.
    """
    groups: dict[str, list[PlannedDevice]] = {}
    for device in plan.devices:
        merged = [device]
        keys = {device.id, *_places(device)}
        for key, group in list(groups.items()):
            if keys & {key, *(place for each in group for place in (each.id, *_places(each)))}:
                merged = groups.pop(key) + merged
        groups[device.id] = merged
    return list(groups.values())


def _places(device: PlannedDevice) -> set[str]:
    """Return where it may have to wait: a line of the board beside a bus counts for nothing."""
    places = {_place(address) for address in device.addresses.values()}
    return places - {_BOARD} or places


def _place(address: Address) -> str:
    match address:
        case LineAddress() | PwmAddress():
            return _BOARD
        case ProvidedLine():
            return address.provider
        case _:
            return f"bus {address.name}"


def _alone(plan: Plan, devices: Sequence[PlannedDevice]) -> Plan:
    """Return the plan with these devices, and nothing that is said of their outputs."""
    bare = tuple(replace(each, limits={}) for each in devices)
    document = plan.document.model_copy(update={"leases": {}})
    return devices_alone(replace(plan, devices=bare, document=document))
