"""gpiozero's lgpio pins without their jumps. Import this only after `import_lgpio`.

The stock pin claims its line as an input when it is made and again when it is closed, and its
`output_with_state` drives low before the level that was asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lgpio
from gpiozero import PinInfo
from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin

from edgekernel.backends.gpiozero_lines import pin_fields
from edgekernel.core.errors import BoundaryError, BrokenError, BusyError
from edgekernel.hal.address import LineAddress

_PULL_FLAGS = {
    "floating": lgpio.SET_PULL_NONE,
    "up": lgpio.SET_PULL_UP,
    "down": lgpio.SET_PULL_DOWN,
}


class ChipFactory(LGPIOFactory):
    """The pins of one GPIO chip, by offset; any chip of any board."""

    def __init__(self, number: int, file: Path) -> None:
        """Open the chip of /dev/gpiochip<number>."""
        super().__init__(chip=number)
        self.file = file
        # gpiozero's own dictionary is one per process: equal offsets of two chips would meet.
        self.pins: dict[int, LinePin] = {}
        self.pin_class = LinePin

    def line_pin(self, line: LineAddress) -> LinePin:
        """Return the pin of a line; it is not claimed."""
        if line.offset not in self.pins:
            self.pins[line.offset] = LinePin(self, line)
        return self.pins[line.offset]


class LinePin(LGPIOPin):
    """A pin that touches its line only when told to, and then in one step."""

    def __init__(self, factory: ChipFactory, line: LineAddress) -> None:
        # Past LGPIOPin.__init__, which would claim the line as an input.
        super(LGPIOPin, self).__init__(factory, PinInfo(*pin_fields(line.offset)))
        self._pwm = None
        self._bounce = None
        self._callback: Any = None
        self._edges = lgpio.BOTH_EDGES
        self._line = line
        self._claimed = False

    def output_with_state(self, state: bool) -> None:
        """Claim as an output; the kernel sets the level before the direction."""
        self._claim(lgpio.gpio_claim_output, int(state))

    def input_with_pull(self, pull: str) -> None:
        """Claim as an input with the pull "floating", "up" or "down"."""
        self._claim(lgpio.gpio_claim_input, _PULL_FLAGS[pull])

    def close(self) -> None:
        """Free the line without another claim, so that its level stays."""
        self.when_changed = None
        if self._claimed and self.factory._handle is not None:
            self._claimed = False
            self._try(lgpio.gpio_free)

    def _get_state(self) -> bool:
        return bool(self._try(lgpio.gpio_read))

    def _set_state(self, value: bool) -> None:
        self._try(lgpio.gpio_write, int(value))

    def _call_when_changed(  # type: ignore[override]  # as LGPIOPin's
        self, chip: int, gpio: int, level: int, ticks: int
    ) -> None:
        """Hand on an edge with the kernel's own time: monotonic, in nanoseconds.

        It is the default clock of a line request (Linux, include/uapi/linux/gpio.h,
        struct gpio_v2_line_event), which lgpio leaves as it is.
        """
        super(LGPIOPin, self)._call_when_changed(ticks, level)

    def _enable_event_detect(self) -> None:
        try:
            super()._enable_event_detect()
        except lgpio.error as error:
            raise self._failure(error) from error

    def _disable_event_detect(self) -> None:
        """Stop listening, and leave the claim to `close`."""
        if self._callback is not None:
            self._callback.cancel()
            self._callback = None

    def _claim(self, call: Any, argument: int) -> None:
        self._try(call, argument)
        self._claimed = True

    def _try(self, call: Any, *arguments: int) -> Any:
        try:
            return call(self.factory._handle, self._number, *arguments)
        except lgpio.error as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> BoundaryError:
        place = f"{self._line.name} on {self._line.chip}"
        if not self._claimed:
            holder = self._holder()
            if holder is not None:
                return BusyError(
                    f"{place}: in use by another process or a kernel driver "
                    f"(consumer {holder!r}); stop that one or choose another line"
                )
        return BrokenError(
            f"{place} ({self.factory.file}, line {self._number}): {error}; "
            "check the line in the board file, and with gpioinfo"
        )

    def _holder(self) -> str | None:
        """Return who has the line, or None if nobody has, or it cannot be found out."""
        try:
            _, _, flags, _, user = lgpio.gpio_get_line_info(self.factory._handle, self._number)
        except lgpio.error:
            return None
        return str(user) if flags & self.GPIO_IS_KERNEL else None
