"""The simulated pins as gpiozero's own. tests/foreign has gpiozero's judgement of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from gpiozero import PWMLED, BadPinFactory, Button

from edgekernel.backends.sim.gpiozero_factory import GpiozeroSimFactory


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[GpiozeroSimFactory]:
    """Pins of which two are wired together."""
    monkeypatch.setenv("EDGEKERNEL_SIM_WIRES", "GPIO5-GPIO6, GPIO22 - GPIO27")
    with closing(GpiozeroSimFactory()) as made:
        yield made


def test_devices_of_gpiozero(factory: GpiozeroSimFactory) -> None:
    """A gpiozero device on one end of a wire sees what one on the other end does, with times."""
    presses: list[bool] = []
    with (
        PWMLED("GPIO22", frequency=50, pin_factory=factory) as led,
        Button("GPIO27", pull_up=False, pin_factory=factory) as button,
    ):
        button.when_pressed = lambda: presses.append(True)
        assert button.value == 0
        led.on()
        assert button.value == 1
        assert presses == [True]
        assert button.active_time is not None
        assert 0 <= button.active_time < 60


@pytest.mark.parametrize("wires", ["GPIO5", "GPIO5-GPIO6-GPIO7", "GPIO5-GPIO99"])
def test_impossible_wire(monkeypatch: pytest.MonkeyPatch, wires: str) -> None:
    """A wire without two ends, or to a pin that is not there, is an error."""
    monkeypatch.setenv("EDGEKERNEL_SIM_WIRES", wires)
    with pytest.raises((BadPinFactory, ValueError), match="GPIO"):
        GpiozeroSimFactory()
