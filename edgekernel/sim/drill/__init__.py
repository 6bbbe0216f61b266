"""Drills: faults of a plan on a real node, where they come between the drivers and the board."""

from edgekernel.sim.drill.layer import DrillBackend
from edgekernel.sim.drill.rig import Place, Rig
from edgekernel.sim.drill.ways import WAYS

__all__ = ["WAYS", "DrillBackend", "Place", "Rig"]
