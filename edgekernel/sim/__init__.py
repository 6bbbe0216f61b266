"""Simulated time and surroundings: with the sim backend, all a node needs to run anywhere."""

from edgekernel.sim.bench import Bench
from edgekernel.sim.clock import SimClock
from edgekernel.sim.errors import SimulationError
from edgekernel.sim.places import Actuator, Sensor, Switch
from edgekernel.sim.seeds import try_seeds
from edgekernel.sim.wiring import Socket, Wiring
from edgekernel.sim.worlds.service import World, Worlds, WorldService

__all__ = [
    "Actuator",
    "Bench",
    "Sensor",
    "SimClock",
    "SimulationError",
    "Socket",
    "Switch",
    "Wiring",
    "World",
    "WorldService",
    "Worlds",
    "try_seeds",
]
