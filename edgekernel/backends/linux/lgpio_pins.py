"""gpiozero's lgpio pins without their jumps. Import this only after `import_lgpio`.

The stock pin claims its line as an input when it is made and again when it is closed, and its
`output_with_state` drives low before the level that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lgpio
from gpiozero import PinInfo
from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin

from edgekernel.backends.gpiozero_lines import pin_fields
from edgekernel.backends.linux.holders import gpio_processes
from edgekernel.backends.linux.line_request import LineRequest
from edgekernel.core.errors import BoundaryError, BrokenError, BusyError
from edgekernel.hal.address import LineAddress

_PULL_FLAGS = {
    "floating": lgpio.SET_PULL_NONE,
    "up": lgpio.SET_PULL_UP,
    "down": lgpio.SET_PULL_DOWN,
}

_LGPIO = "lg"
"""The label of lines that lgpio holds, for whichever program."""


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
        """Return the pin of a line; it is not claimed. Raises BrokenError if there is none."""
        count = lgpio.gpio_get_chip_info(self._handle)[1]
        if line.offset >= count:
            raise BrokenError(
                f"{line.name} on {line.chip} ({self.file}): no line {line.offset}; the chip has "
                f"{count}, counted from 0. Correct the board file"
            )
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
        self._claimed = False  # through lgpio
        self._request: LineRequest | None = None  # past it
        self._pulsing = False

    def output_with_state(self, state: bool) -> None:
        """Claim as an output; the kernel sets the level before the direction."""
        self._claim(lgpio.gpio_claim_output, int(state))

    def output_as_is(self) -> None:
        """Claim as an output at the level that the line has; nothing moves.

        Past lgpio, which makes an input of a line in order to read it.
        """
        try:
            request = LineRequest(self.factory.file, self._number)
            try:
                request.drive_as_is()
            except BaseException:
                request.close()
                raise
        except OSError as error:
            raise self._failure(error) from error
        self._request = request

    def input_with_pull(self, pull: str) -> None:
        """Claim as an input with the pull "floating", "up" or "down"."""
        self._claim(lgpio.gpio_claim_input, _PULL_FLAGS[pull])

    def pulse(self, frequency_hz: float, duty: float) -> None:
        """Let lgpio make pulses on an output; 0 Hz ends them, at low."""
        if frequency_hz:
            self._try(lgpio.tx_pwm, frequency_hz, duty * 100)
            self._pulsing = True
        elif self._pulsing:
            self._pulsing = False
            self._try(lgpio.tx_pwm, 0, 0)
            self._try(lgpio.gpio_write, 0)  # they may have ended at high

    def close(self) -> None:
        """Free the line without another claim, so that its level stays."""
        self.when_changed = None
        request, self._request = self._request, None
        if request is not None:
            request.close()
        if self._claimed and self.factory._handle is not None:
            self._claimed = False
            self._try(lgpio.gpio_free)

    def _get_state(self) -> bool:
        if self._request is not None:
            return bool(self._attempt(self._request.read))
        return bool(self._try(lgpio.gpio_read))

    def _set_state(self, value: bool) -> None:
        if self._request is not None:
            self._attempt(partial(self._request.write, bool(value)))
        else:
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
            raise self._failure(
                error, "no edges from it: it may have no interrupt. Choose another line"
            ) from error

    def _disable_event_detect(self) -> None:
        """Stop listening, and leave the claim to `close`."""
        if self._callback is not None:
            self._callback.cancel()
            self._callback = None

    def _claim(self, call: Any, argument: int) -> None:
        self._try(call, argument)
        self._claimed = True

    def _try(self, call: Any, *arguments: float) -> Any:
        return self._attempt(partial(call, self.factory._handle, self._number, *arguments))

    def _attempt(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (lgpio.error, OSError) as error:
            raise self._failure(error) from error

    def _failure(
        self,
        error: Exception,
        advice: str = "check the line in the board file, and with gpioinfo",
    ) -> BoundaryError:
        place = f"{self._line.name} on {self._line.chip} ({self.factory.file}, line {self._number})"
        if not self._claimed and self._request is None:
            consumer = self._consumer()
            if consumer is not None:
                return BusyError(f"{place}: {self._busy(consumer)}")
        return BrokenError(f"{place}: {error}; {advice}")

    def _consumer(self) -> str | None:
        """Return the label of who has the line, or None if nobody has, or it is not told."""
        try:
            _, _, flags, _, user = lgpio.gpio_get_line_info(self.factory._handle, self._number)
        except lgpio.error:
            return None
        return str(user) if flags & self.GPIO_IS_KERNEL else None

    def _busy(self, consumer: str) -> str:
        processes = gpio_processes(self.factory.file)
        if processes:
            return (
                f"in use (consumer {consumer!r}); GPIO lines are held by {', '.join(processes)}. "
                "Stop that program or choose another line"
            )
        by = (
            "by this program itself, past edgekernel"
            if consumer == _LGPIO
            else "by a kernel driver, such as an overlay of config.txt brings"
        )
        return (
            f"in use (consumer {consumer!r}) {by}, or by another user's program (sudo fuser -v "
            f"{self.factory.file} names it). Stop that one or choose another line"
        )
