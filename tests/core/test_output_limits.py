"""Limits: those that an output cannot have are refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel import ConfigError, Device, Limits, output
from tests.core.driving import Plant


@pytest.mark.parametrize(
    ("name", "limits", "problem"),
    [
        ("valve", {"initial": "as-is"}, 'initial: "as-is" is not possible: the driver cannot read'),
        (
            "valve",
            {"initial": 2},
            "initial: 2 is not allowed: a number from 0 to 1, or one of safe",
        ),
        ("pump", {"fallback": "of"}, "fallback: 'of' is not allowed: on or off, or one of safe, h"),
        ("pump", {"min_on_s": 0}, "min_on: 0 is not allowed: it is in seconds, above 0"),
        ("pump", {"lease_s": float("nan")}, "lease: nan is not allowed"),
        ("pump", {"min_on_s": 60, "max_on_s": 30}, r"min_on: 60 s is longer than max_on \(30 s\)"),
        ("pump", {"min_on_s": 60, "lease_s": 30}, r"min_on: 60 s is longer than lease \(30 s\)"),
        ("pump", {"max_changes": "6"}, "max_changes: '6': expected a form such as \"10/min\""),
        ("pump", {"interlock": ("x",)}, 'interlock: "x" is no output: write "device.output"'),
        ("pump", {"interlock": ("plant.pump",)}, 'interlock: "plant.pump" is this very output'),
        ("pump", {"interlock": ("a.b", "a.b")}, 'interlock: "a.b" is there twice'),
        ("pump", {"rate": 1}, "rate: is how fast a number changes: it is for numbers"),
        ("valve", {"rate": 0}, "rate: .* numbers above 0, not 0"),
        ("mode", {"lease_s": 5}, "lease: needs a safe value, and this output has none"),
        ("mode", {"min_off_s": 5}, "min_off: needs a safe value, and this output has none"),
        ("lamp", {"max_on_s": 5}, "max_on: needs a safe value, and this output has none"),
        ("lamp", {"interlock": ("a.b",)}, "interlock: needs a safe value"),
    ],
)
def test_limits_that_cannot_be(name: str, limits: dict[str, Any], problem: str) -> None:
    """The text names the output and the key, what is wrong and what is allowed."""
    with pytest.raises(ConfigError, match=rf"^plant\.{name}: limits\.{problem}"):
        Plant().outputs[name].limits = Limits(**limits)


def test_every_mistake_is_told() -> None:
    """Several mistakes are told together."""
    with pytest.raises(ConfigError) as refused:
        Plant().pump.limits = Limits(rate=1, min_on_s=-1, fallback="x")
    assert len(refused.value.problems) == 3


def test_a_switch_without_a_safe_value_may_have_least_times() -> None:
    """On is on, of a switch: that needs no safe value."""
    Plant().lamp.limits = Limits(min_on_s=5, min_off_s=5)


def test_no_longest_time_where_on_is_safe() -> None:
    """What is safe when it is on has no time after which it must be off."""
    plant = Plant()
    plant.pump.safe = True
    with pytest.raises(ConfigError, match="max_on: would end at the safe value, which is on"):
        plant.pump.limits = Limits(max_on_s=5)


def test_limits_of_a_class() -> None:
    """Limits in the declaration count for every device, until others are set."""

    class Pump(Device):
        power = output(bool, safe=False, limits=Limits(min_on_s=5))

        @power.drive
        def switch(self, on: bool) -> bool:
            return on

    one, two = Pump("one"), Pump("two")
    two.power.limits = None
    assert (one.power.limits, two.power.limits) == (Limits(min_on_s=5), None)


def test_a_safe_value_cannot_get_lost() -> None:
    """P8: a driver may choose another safe value, but not have none where it has declared one."""
    plant = Plant()
    with pytest.raises(ConfigError, match=r"plant\.pump: it has a safe value, False, and cannot"):
        plant.pump.safe = None
    with pytest.raises(ConfigError, match=r"plant\.valve: safe=7\.0 cannot be driven: the output"):
        plant.valve.safe = 7.0
    plant.mode.safe = "auto"
    plant.mode.safe = None
