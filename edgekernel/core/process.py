"""Processes: event-driven logic."""

from edgekernel.core.role import Role


class Process(Role):
    """Reacts to messages and signals; has no thread of its own."""
