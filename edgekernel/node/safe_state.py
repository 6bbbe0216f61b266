"""The safe state without the agent: what is attached to a board, brought to its safe values.

For after an end that let the agent do nothing itself, such as `kill -9`. It drives through the
same drivers, but runs neither the application nor a link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from edgekernel.backends.backend import Backend
from edgekernel.core.clock import Clock
from edgekernel.core.errors import BootError, LifecycleError
from edgekernel.core.output import Output
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import LineAddress, ProvidedLine, PwmAddress
from edgekernel.node.assemble import assemble
from edgekernel.node.devices_alone import devices_alone
from edgekernel.node.plan import Plan
from edgekernel.node.planned import PlannedDevice

LIMIT_S = 5.0
"""How long, in seconds, what cannot be driven is tried again unless told otherwise."""

_LOOK_EVERY_S = 0.01
_STOP_LIMIT_S = 1.0
_CONNECT_LIMIT_S = 1.0
"""How long the others wait for a driver that hangs; if it returns later, that counts as well."""


@dataclass(frozen=True, slots=True)
class SafeOutput:
    """What came of one output: driven to `safe`, or why it is not. None: it has no safe value."""

    output: str
    safe: bool | int | float | str | None
    problem: str = ""


def make_safe(
    plan: Plan, backend: Backend, clock: Clock, limit_s: float = LIMIT_S
) -> list[SafeOutput]:
    """Drive every output of a plan's devices to its safe value; return what came of each.

    Each bus and port has a thread, and the lines of the board have one: none waits for another one
    that is stuck. What cannot be driven is tried again for `limit_s` seconds; a driver that hangs
    longer is left to itself. Limits, such as how long an output stays on at least, do not count.
    Devices that an application adds are not known here. Raises ConfigError if a driver refuses its
    settings.
    """
    found = [_Group(plan, devices, backend, clock) for devices in _groups(plan)]
    groups = [group for group in found if group.outputs]
    for group in groups:
        group.start()
    end = clock.monotonic() + limit_s
    while clock.monotonic() < end and not all(group.is_done for group in groups):
        clock.sleep(_LOOK_EVERY_S)
    outcomes = [each for group in groups for each in group.outcomes(limit_s)]
    for group in groups:
        group.stop()
    order = [device.id for device in plan.devices]
    return sorted(outcomes, key=lambda each: order.index(each.output.partition(".")[0]))


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
        for device in self._runtime.devices.values():
            device.connect_limit_s = _CONNECT_LIMIT_S
        self.outputs = [
            output
            for device in self._runtime.devices.values()
            for output in device.outputs.values()
        ]
        for output in self.outputs:
            output.limits = None

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
                concerned = [*self._providers[_device(output)], _device(output)]
                told = [error for id in concerned if (error := parts[id]["error"])]
                problem = told[0] if told else f"{problem} within {limit_s:g} s"
            yield SafeOutput(output.label, output.safe, problem)

    def stop(self) -> None:
        self._runtime.shutdown("safe state")

    def _problem(self, output: Output[Any]) -> str:
        device = self._runtime.devices[_device(output)]
        if not device.attached or device.attempt is not None:
            return "its driver did not come back"
        return "" if output.is_safe or output.safe is None else "not driven"


def _device(output: Output[Any]) -> str:
    return output.label.partition(".")[0]


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


def _places(device: PlannedDevice) -> Iterator[str]:
    for address in device.addresses.values():
        match address:
            case LineAddress() | PwmAddress():
                yield "lines of the board"
            case ProvidedLine():
                yield address.provider
            case _:
                yield f"bus {address.name}"


def _alone(plan: Plan, devices: Sequence[PlannedDevice]) -> Plan:
    """Return the plan with these devices, and nothing that is said of their outputs."""
    bare = tuple(replace(each, limits={}) for each in devices)
    document = plan.document.model_copy(update={"leases": {}})
    return devices_alone(replace(plan, devices=bare, document=document))
