"""Power and heat: is the supply strong enough, and does the processor have to slow down?"""

from __future__ import annotations

from collections.abc import Iterator

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine
from edgekernel.node.vitals import (
    SLOWED,
    Throttling,
    cpu_temperature_c,
    throttling,
    under_voltage,
)

_HOT_C, _TOO_HOT_C = 80.0, 85.0
"""Where a Raspberry Pi begins to slow down, and where it does so with all it has (Raspberry Pi
documentation, "Frequency management and thermal control"); other boards are not far from it."""
_BEFORE_CRITICAL_C = 10.0
_SUPPLY = "a supply and a cable that hold 5.1 V under load; a powered hub for what hangs on USB"
_COOLING = "a heat sink or a fan, and air around the board"
_DOES = {
    Throttling.FREQUENCY_CAPPED: "its frequency is capped",
    Throttling.THROTTLED: "it is throttled",
    Throttling.SOFT_LIMIT: "it is at its soft temperature limit",
}


def look_at_power(machine: Machine) -> Iterator[Finding]:
    """Find under-voltage and throttling, now and before."""
    told = throttling(machine)
    now = under_voltage(machine, told)
    if now is None:
        yield Finding(Level.OK, "power supply", "this computer does not measure it")
    elif now:
        text = "under-voltage: too little for the board, which may fail or lose data any time"
        yield Finding(Level.ERROR, "power supply", text, _SUPPLY)
    elif told is not None and Throttling.WAS_UNDER_VOLTAGE in told:
        text = "under-voltage has been seen, though not now"
        yield Finding(Level.WARNING, "power supply", text, _SUPPLY)
    else:
        yield Finding(Level.OK, "power supply", "no under-voltage")
    if told is not None:
        yield _processor(told)


def _processor(told: Throttling) -> Finding:
    now = [text for bit, text in _DOES.items() if bit in told]
    before = [text for bit, text in _DOES.items() if Throttling(bit << 16) in told]
    if told & SLOWED:
        text = f"slowed down: {', '.join(now)}"
    elif before:
        text = f"was slowed down before: {', '.join(before).replace(' is ', ' was ')}"
    else:
        return Finding(Level.OK, "processor", "not slowed down")
    low = told & (Throttling.UNDER_VOLTAGE | Throttling.WAS_UNDER_VOLTAGE)
    return Finding(Level.WARNING, "processor", text, _SUPPLY if low else _COOLING)


def look_at_heat(machine: Machine) -> Iterator[Finding]:
    """Find the hottest zone, and whether it is near its limit."""
    found = []
    for name in machine.find("/sys/class/thermal/thermal_zone*/temp"):
        degrees_c = cpu_temperature_c(machine, name)
        if degrees_c is not None:
            found.append((_margin(machine, name, degrees_c), degrees_c, name))
    if not found:
        yield Finding(Level.OK, "temperature", "this computer does not measure it")
        return
    _, degrees_c, name = min(found)
    zone = name.removesuffix("/temp")
    subject = f"temperature ({machine.read(f'{zone}/type').strip() or zone.rpartition('/')[2]})"
    hot_c, too_hot_c = _limits(machine, name)
    level = Level.ERROR if degrees_c >= too_hot_c else Level.WARNING
    text = f"{degrees_c:g} °C"
    if degrees_c >= hot_c:
        yield Finding(level, subject, f"{text}, and it should be below {hot_c:g} °C", _COOLING)
    else:
        yield Finding(Level.OK, subject, text)


def _margin(machine: Machine, name: str, degrees_c: float) -> float:
    return _limits(machine, name)[0] - degrees_c


def _limits(machine: Machine, name: str) -> tuple[float, float]:
    """Return where a zone is hot and too hot; earlier if the kernel would switch it off earlier."""
    zone = name.removesuffix("/temp")
    for kind in machine.find(f"{zone}/trip_point_*_type"):
        if machine.read(kind).strip() == "critical":
            critical_c = cpu_temperature_c(machine, kind.removesuffix("type") + "temp")
            if critical_c is not None and critical_c > 0:
                too_hot_c = min(_TOO_HOT_C, critical_c - _BEFORE_CRITICAL_C / 2)
                return min(_HOT_C, critical_c - _BEFORE_CRITICAL_C), too_hot_c
    return _HOT_C, _TOO_HOT_C
