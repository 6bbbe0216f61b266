"""Simulated time; with the sim backend, everything a node needs to run without hardware."""

from edgekernel.sim.clock import SimClock, SimulationError

__all__ = ["SimClock", "SimulationError"]
