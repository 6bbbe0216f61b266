"""Simulated time and surroundings: with the sim backend, all a node needs to run anywhere."""

from edgekernel.sim.bench import Bench, Wiring, World, WorldService
from edgekernel.sim.clock import SimClock
from edgekernel.sim.errors import SimulationError
from edgekernel.sim.seeds import try_seeds

__all__ = ["Bench", "SimClock", "SimulationError", "Wiring", "World", "WorldService", "try_seeds"]
