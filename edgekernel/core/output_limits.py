"""Limits: what an output may do beside its type and range, as a driver, program or file says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edgekernel.core.errors import ConfigError, InvalidValueError
from edgekernel.core.limits import RateLimit
from edgekernel.core.record import dataclass
from edgekernel.core.values import ValueType

Value = bool | int | float | str

_DURATIONS = ("min_on", "min_off", "max_on", "lease", "mismatch")


@dataclass(frozen=True, slots=True)
class Limits:
    """How an output begins, how long and how often it may be on, and what else it depends on.

    *On* is, of a switch, that it is on; of any other output, every value but the safe one.

    `initial` is what it begins with: "safe"; "as-is", the hardware is taken over as it is and
    nothing moves; "restore", what was driven last before the restart, or else safe; or a value.
    `fallback` is where it goes when what has set it fails: "safe", "hold" (it stays), or
    a value.

    Times are in seconds. `min_on_s` and `min_off_s` are how long it stays on, or off, at least: a
    set that comes too early is *pending* until then. How long it was off before the attachment
    nobody knows, so `min_off_s` counts from there. After `max_on_s` it falls to its safe value.
    With `lease_s` it does when nobody has set it for so long. `max_changes`, such as "6/min", is
    how often it may be set to another value than it has; going to the safe value is always
    allowed. It is never on together with an output in `interlock`, each written as
    "device.output". A readback that differs from the setpoint for longer than `mismatch_s` is
    BAD. `rate` is how fast a number may change, in its unit per second.

    Going to the safe value because the node stops, the device is detached, what has set it fails, a
    lease or `max_on_s` ends or an output is held safe waits for nothing of this: where `min_on_s`
    protects the hardware, such as a compressor, that is the smaller harm.
    """

    initial: Value = "safe"
    fallback: Value = "safe"
    min_on_s: float | None = None
    min_off_s: float | None = None
    max_on_s: float | None = None
    max_changes: str = ""
    lease_s: float | None = None
    interlock: tuple[str, ...] = ()
    mismatch_s: float | None = None
    rate: float | None = None


def is_on(value: object, safe: object) -> bool:
    """Say whether a value counts as on: a switch that is on, or another value than the safe one."""
    return value if isinstance(value, bool) else value != safe


def mistakes(
    limits: Limits, values: ValueType[Any], label: str, *, can_read: bool
) -> Iterator[tuple[str, str]]:
    """Give the key, without its unit, and a sentence for each mistake in the limits of an output.

    `label` is the output's own name; `can_read` whether its driver can read what it takes over.
    What depends on the safe value is told by `without_safe`. Whether there are outputs of the
    names in `interlock` is not looked at.
    """
    yield from _wrong_beginnings(limits, values, can_read)
    yield from _wrong_times(limits)
    if limits.max_changes:
        try:
            RateLimit.parse(limits.max_changes)
        except ConfigError as error:
            yield "max_changes", str(error).removeprefix("rate limit ")
    yield from _wrong_interlock(limits.interlock, label)
    if limits.rate is not None and not (_is_positive(limits.rate) and values.type in (int, float)):
        what = "numbers" if values.type in (bool, str) else f"numbers above 0, not {limits.rate!r}"
        yield "rate", f"is how fast a number changes: it is for {what}"


def _wrong_beginnings(
    limits: Limits, values: ValueType[Any], can_read: bool
) -> Iterator[tuple[str, str]]:
    if limits.initial == "as-is" and not can_read:
        yield "initial", '"as-is" is not possible: the driver cannot read what the hardware does'
    words = {"initial": ("safe", "as-is", "restore"), "fallback": ("safe", "hold")}
    for key, known in words.items():
        value = getattr(limits, key)
        if value in known:
            continue
        try:
            values.parse(value)
        except InvalidValueError as error:
            yield key, f"{error}, or one of {', '.join(known)}"


def _wrong_times(limits: Limits) -> Iterator[tuple[str, str]]:
    for key in _DURATIONS:
        seconds = getattr(limits, f"{key}_s")
        if seconds is not None and not _is_positive(seconds):
            yield key, f"{seconds!r} is not allowed: it is in seconds, above 0"
            return
    if limits.min_on_s is None:
        return
    for key, seconds in (("max_on", limits.max_on_s), ("lease", limits.lease_s)):
        if seconds is not None and limits.min_on_s > seconds:
            text = f"{limits.min_on_s:g} s is longer than {key} ({seconds:g} s), which ends it"
            yield "min_on", text


def _wrong_interlock(names: Sequence[str], label: str) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys(names):
        device, _, output = name.partition(".")
        if not (device and output):
            yield "interlock", f'"{name}" is no output: write "device.output"'
        elif name == label:
            yield "interlock", f'"{name}" is this very output'
        elif names.count(name) > 1:
            yield "interlock", f'"{name}" is there twice'


def without_safe(
    limits: Limits, values: ValueType[Any], safe: Value | None
) -> Iterator[tuple[str, str]]:
    """Give key and sentence of each limit that needs a safe value, or one that is not on."""
    if safe is None:
        needs = {"max_on": limits.max_on_s, "lease": limits.lease_s, "interlock": limits.interlock}
        if values.type is not bool:  # on means another value than the safe one
            needs |= {"min_on": limits.min_on_s, "min_off": limits.min_off_s}
        for key in (key for key, value in needs.items() if value):
            yield key, "needs a safe value, and this output has none"
    elif safe is True and limits.max_on_s is not None:
        yield "max_on", "would end at the safe value, which is on"


def _is_positive(number: object) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 < number < 1e9
