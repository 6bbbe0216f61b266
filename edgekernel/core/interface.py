"""Interfaces: the way to the outside, dispatched after the processes."""

from edgekernel.core.role import Role


class Interface(Role):
    """Translates between the runtime and people or other machines: MQTT, HTTP, a terminal."""
