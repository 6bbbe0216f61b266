"""What is wired together: pins, and what the outside drives. Its level is the strongest one's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekernel.core.errors import LifecycleError

if TYPE_CHECKING:
    from edgekernel.backends.sim.pins import SimPin


class Net:
    """A wire with pins on it: outputs beat the outside, which beats pulls; else the level stays."""

    def __init__(self, *pins: SimPin) -> None:
        self.pins = pins
        self.outside: bool | None = None
        """What the outside drives; None if it does not."""
        self._phase = 0.0

    def join(self, other: Net) -> None:
        """Put a jumper wire between the two. Raises LifecycleError if that is a short circuit."""
        if other is self:
            return
        joined = Net(*self.pins, *other.pins)
        joined.outside = other.outside if self.outside is None else self.outside
        joined.check()
        for pin in joined.pins:
            pin.net = joined
        joined.settle()

    def outputs(self) -> list[SimPin]:
        """Return the pins that drive it."""
        return [pin for pin in self.pins if pin.function == "output"]

    def check(self) -> None:
        """Raise LifecycleError if two outputs drive against each other."""
        outputs = self.outputs()
        if any(pin.driven != outputs[0].driven for pin in outputs):
            names = " and ".join(pin.info.name for pin in outputs)
            raise LifecycleError(
                f"{names} are wired together and drive against each other: a short circuit; "
                "make one of them an input, or take the wire away"
            )

    def settle(self, *, unseen: bool = False) -> None:
        """Give the inputs on it the level that it has; `unseen` by who waits for edges."""
        level = self._level()
        if level is not None:
            for pin in self.pins:
                pin.follow(level, unseen)

    def sample(self, pin: SimPin) -> bool:
        """Return what a read of an input on it sees.

        While an output makes pulses, a read falls at any time of their period: of many reads, the
        share that the pulses are high sees high.
        """
        pulses = next((output.pulses for output in self.outputs() if output.pulses), None)
        if pulses is None:
            return pin.level
        _, duty = pulses
        self._phase += duty
        if self._phase < 1:
            return False
        self._phase -= 1
        return True

    def _level(self) -> bool | None:
        outputs = self.outputs()
        if outputs:
            return outputs[0].level
        if self.outside is not None:
            return self.outside
        pulls = {pin.pull for pin in self.pins} - {"floating"}
        return pulls == {"up"} if len(pulls) == 1 else None
