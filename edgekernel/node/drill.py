"""A drill on a node: its fault plan, between its drivers and whatever board it runs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgekernel.backends.backend import Backend
from edgekernel.core.clock import Clock
from edgekernel.core.device import Device
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import BusAddress, LineAddress, OneWireAddress, PortAddress
from edgekernel.hal.gpio import DigitalInput
from edgekernel.node.plan import Plan
from edgekernel.node.planned import PlannedDevice
from edgekernel.sim.drill import DrillBackend, Place, Rig
from edgekernel.sim.drill.drill import Drill
from edgekernel.sim.faults import Fault, FaultPlayer


class NodeDrill:
    """Puts a fault plan into a node that is being assembled: first `around`, then `join`."""

    def __init__(
        self,
        plan: Plan,
        faults: Sequence[Fault],
        seed: int = 0,
        keep_broker_away: Callable[[bool], object] | None = None,
    ) -> None:
        """Take a plan of a node, and what is to go wrong; `seed` decides what chance does.

        `keep_broker_away` cuts the node's link to its broker, and lets none be made until it is
        told otherwise.
        """
        self._plan = plan
        self._keep_broker_away = keep_broker_away
        self._faults = faults
        self._seed = seed
        self._layer: DrillBackend | None = None

    def around(self, backend: Backend, clock: Clock) -> Backend:
        """Return the backend for the drivers."""
        self._layer = DrillBackend(backend, clock)
        return self._layer

    def join(self, runtime: Runtime) -> Drill:
        """Become a part of the runtime, before it boots.

        Raises ConfigError that names each fault that cannot be drilled on this node.
        """
        assert self._layer is not None, "the backend comes first"
        devices = self._plan.devices
        places = {each.id: _place(each, runtime.devices[each.id]) for each in devices}
        player = FaultPlayer(
            Rig(self._layer, places, self._keep_broker_away), self._faults, self._seed
        )
        runtime.register(player)
        drill = Drill(player)
        runtime.register(drill)
        return drill


def _place(planned: PlannedDevice, device: Device) -> Place:
    bus, port, inputs = "", "", []
    for parameter, address in planned.addresses.items():
        match address:
            case BusAddress() | OneWireAddress():
                bus = address.name
            case PortAddress():
                port = address.name
            case LineAddress() if planned.kinds[parameter] is DigitalInput:
                inputs.append(address.name)
    at = planned.settings.get("address", planned.settings.get("rom"))
    return Place(bus, at, port, tuple(inputs), device.readings)
