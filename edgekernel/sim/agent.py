"""The agent as what is outside of it sees it: a process that can end at any moment."""

from __future__ import annotations

from random import Random
from typing import Protocol


class Agent(Protocol):
    """An agent that can be ended and started again while the world goes on."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        ...

    def kill(self) -> None:
        """End it as SIGKILL does; power that was away is back. Harmless if it does not run."""
        ...

    def cut_power(self, random: Random) -> None:
        """Take the power away from the whole node. Chance decides what was on the disk."""
        ...

    def start_again(self) -> None:
        """Bring the power back and start it. Harmless if it runs."""
        ...
