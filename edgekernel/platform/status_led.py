"""The status LED of a board: it beats slowly if all is well, and blinks fast if not."""

from __future__ import annotations

import re
from pathlib import Path

LED_CLASS = Path("/sys/class/leds")
_LEDS = ("ACT", "PWR")
"""Labels of the device trees of Debian's kernel 6.12 and of Raspberry Pi's: the green LED, or the
only one of a Pi 400. A CM3 on its board has none."""
_BEAT, _BLINK = "heartbeat", "timer"
"""Triggers (the kernel's Documentation/leds/leds-class.rst): the latter is a module of its own,
and has its times in files that come with it."""
_FAST_MS = 100


def show_led(*, good: bool, leds: Path) -> str:
    """Let the LED beat or blink; return why it does not, or "". A board without one is fine."""
    led = next((leds / name for name in _LEDS if (leds / name).is_dir()), None)
    if led is None:
        return ""
    wanted = _BEAT if good else _BLINK
    try:
        (led / "trigger").write_text(wanted)
        if not good:
            for name in ("delay_on", "delay_off"):
                (led / name).write_text(str(_FAST_MS))
        found = re.search(r"\[(.*)\]", (led / "trigger").read_text())
    except OSError as error:
        return f"the LED {led.name} does not show it: {wanted}: {error}"
    if found is None or found[1] != wanted:
        return f"the LED {led.name} does not show it: {wanted} was not taken"
    return ""
