"""Worlds: small physics that tie what a node's outputs do to what its sensors read."""

from edgekernel.sim.worlds.battery import Battery
from edgekernel.sim.worlds.climate import Climate
from edgekernel.sim.worlds.door import Door
from edgekernel.sim.worlds.motor import Motor
from edgekernel.sim.worlds.room import ThermalRoom, vapour_pressure_hpa
from edgekernel.sim.worlds.service import World, Worlds, WorldService
from edgekernel.sim.worlds.tank import Tank

KINDS = {
    "battery": Battery,
    "climate": Climate,
    "door": Door,
    "motor": Motor,
    "tank": Tank,
    "thermal_room": ThermalRoom,
}
"""The worlds that a node file can name by a word."""

__all__ = [
    "KINDS",
    "Battery",
    "Climate",
    "Door",
    "Motor",
    "Tank",
    "ThermalRoom",
    "World",
    "WorldService",
    "Worlds",
    "vapour_pressure_hpa",
]
