"""Rehearsal: whether the devices of a node start, as far as their settings are concerned."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.backends.sim import SimBackend
from edgekernel.core.device import Device
from edgekernel.core.runtime import Runtime
from edgekernel.node.assemble import assemble
from edgekernel.node.devices_alone import devices_alone
from edgekernel.node.plan import Plan
from edgekernel.node.simulate import plug_chips
from edgekernel.sim.clock import SimClock


def refusals(plan: Plan) -> list[str]:
    """Start the devices of a plan on the simulated board; return what refuses its settings.

    Such as a line of an expander that has no pull-down resistor. That a chip does not answer says
    nothing: not every driver has a simulated one. Raises ImportError without the `sim` extra.
    """
    clock = SimClock()
    backend = SimBackend(clock)
    found: dict[str, str] = {}
    simulated = devices_alone(plan)
    try:
        runtime = assemble(simulated, backend, clock, Runtime)
        plug_chips(simulated, backend, clock)
        for device in runtime.devices.values():
            device.connect = _noting(device, found)  # type: ignore[method-assign]
        with runtime:
            pass
    finally:
        backend.close()
        clock.close()
    return [f"{plan.path.name}: devices.{id}: {error}" for id, error in found.items()]


def _noting(device: Device, found: dict[str, str]) -> Callable[[], None]:
    connect = device.connect

    def noting() -> None:
        try:
            connect()
        except ValueError as error:  # InvalidValueError and ConfigError are of this kind
            found[device.id] = str(error)
            raise

    return noting
