"""Retry: an output that could not be made safe is made safe when its driver can."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel import Effect, Limits, Quality, Signal
from edgekernel.core.errors import UnavailableError
from tests.core.driving import Plant, Running

NO_ANSWER = OSError("no answer")


class Failing:
    """An effect that drives the pump, and fails while the driver does, which is not for ever."""

    def __init__(self, sim: Any, failures: int, limits: Limits | None = None) -> None:
        self.run = Running(sim) if limits is None else Running(sim, pump=limits)
        self.plant: Plant = self.run.plant
        self.wanted = Signal("on")
        self.effect = Effect(self.drive, on_error=lambda error: None)
        self.plant.driven.clear()
        self.plant.failures = [NO_ANSWER] * failures
        self.wanted.set("nonsense")

    def drive(self) -> None:
        self.plant.pump.set({"on": True, "off": False}[self.wanted.get()])


@pytest.mark.parametrize("limits", [None, Limits(max_on_s=3600)])
def test_a_fallback_that_failed_is_tried_again(sim: Any, limits: Limits | None) -> None:
    """P8: an output whose effect failed while its driver did is safe when the driver works again,
    though nobody sets it and its device was never offline."""
    failing = Failing(sim, 9, limits)
    pump = failing.plant.pump
    assert pump.readback.quality is Quality.BAD
    failing.run.advance(10)
    assert [value for _, value in failing.plant.driven] == [False]
    assert (pump.value, pump.is_safe) == (False, True)
    failing.run.advance(600)
    assert len(failing.plant.driven) == 1
    failing.effect.dispose()


def test_it_is_tried_less_and_less(sim: Any) -> None:
    """A driver that stays dead is asked once a minute in the end."""
    failing = Failing(sim, 10_000)
    failing.run.advance(3600)
    assert 3 * 50 < 10_000 - len(failing.plant.failures) < 3 * 100
    failing.effect.dispose()


def test_who_sets_it_meanwhile_is_obeyed(sim: Any) -> None:
    """A set that came through ends it: what is wanted is known again. One that failed does not."""
    failing = Failing(sim, 4)
    with pytest.raises(UnavailableError):
        failing.plant.pump.set(True)
    failing.plant.pump.set(True)
    failing.run.advance(600)
    assert failing.plant.pump.value is True
    failing.plant.failures = [NO_ANSWER] * 4
    failing.wanted.set("rubbish")
    with pytest.raises(UnavailableError):
        failing.plant.pump.set(True)
    failing.run.advance(600)
    assert failing.plant.pump.value is False
    failing.effect.dispose()


def test_a_device_that_is_gone_is_left_alone(sim: Any) -> None:
    """P12: of a device that was removed no output is driven any more."""
    failing = Failing(sim, 10_000)
    failing.run.runtime.hot_remove("plant")
    failing.plant.failures.clear()
    failing.plant.driven.clear()
    failing.run.advance(600)
    assert failing.plant.driven == []
    failing.effect.dispose()
