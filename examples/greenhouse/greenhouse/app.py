"""The application: hold the temperature, air by button, report every day."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from edgekernel_devices.bme280 import BME280
from edgekernel_devices.button import ButtonPressed
from edgekernel_devices.led import Led
from edgekernel_devices.relay import Relay
from pydantic import Field

from edgekernel import (
    Context,
    Event,
    Message,
    Process,
    Quality,
    Runtime,
    Service,
    Signal,
    command,
    computed,
    effect,
    on,
    requires,
)

HYSTERESIS = 0.5  # °C to each side of the target, so that the heater does not chatter
TOO_HOT = 4.0  # °C above the target, from where the vent opens


class HeaterSwitched(Message):
    """The heater was switched by the temperature."""

    heating: bool
    celsius: float


class Heartbeat(Message):
    """The node is alive."""

    uptime_s: float


class DailySummary(Message):
    """What the day was like; temperatures in °C."""

    day: str
    lowest: float
    highest: float
    mean: float
    heated_min: float


class Climate(Process):
    """Holds the temperature between target - 0.5 °C and target + 0.5 °C; airs when it is hot."""

    name = "climate"
    room = requires(BME280, id="room")
    heater = requires(Relay, id="heater")
    vent = requires(Relay, id="vent")
    lamp = requires(Led, id="lamp")

    def __init__(self) -> None:
        self.target = Signal(21.0, name="target")
        self.airing = Signal(False, name="airing")

    @computed
    def too_hot(self) -> bool:
        """Whether the vent has to help."""
        sample = self.room.temperature.sample
        return sample.quality is Quality.GOOD and (sample.value or 0) > self.target.get() + TOO_HOT

    @effect
    def heat(self) -> None:
        """Switch the heater with hysteresis; without a trustworthy temperature it is off."""
        sample = self.room.temperature.sample
        target = self.target.get()
        if sample.quality is Quality.BAD or sample.value is None:
            self._switch(False, float("nan"))
        elif sample.value < target - HYSTERESIS:
            self._switch(True, sample.value)
        elif sample.value > target + HYSTERESIS:
            self._switch(False, sample.value)

    @effect
    def air(self) -> None:
        """Open the vent when it is too hot, or when somebody asked for air."""
        self.vent.power.set(self.too_hot() or self.airing.get())

    @effect
    def show(self) -> None:
        """Light the lamp while the heater is on."""
        self.lamp.light.set(self.heater.power.setpoint is True)

    @on(ButtonPressed)
    def toggle_airing(self, event: Event) -> None:
        """Air, or stop airing, when the button is pressed."""
        self.airing.set(not self.airing.peek())

    @command
    def set_target(self, celsius: Annotated[float, Field(ge=5, le=35)]) -> float:
        """Set the target temperature in °C, 5 to 35; returns the one before."""
        before = self.target.peek()
        self.target.set(celsius)
        return before

    def _switch(self, heating: bool, celsius: float) -> None:
        if self.heater.power.setpoint is not heating:
            self.heater.power.set(heating)
            self.ctx.emit(HeaterSwitched(heating, celsius))


class Pulse(Service):
    """Says every minute that the node is alive."""

    name = "pulse"
    interval = 60.0

    def tick(self, ctx: Context) -> None:
        """Emit the heartbeat."""
        ctx.emit(Heartbeat(ctx.clock.uptime()))


class Diary(Service):
    """Watches the temperature once a minute and sums the day up at midnight UTC."""

    name = "diary"
    interval = 60.0
    room = requires(BME280, id="room")
    heater = requires(Relay, id="heater")

    def start(self, ctx: Context) -> None:
        """Begin an empty page."""
        self._turn_page(ctx.clock.now_utc().date())

    def tick(self, ctx: Context) -> None:
        """Note the temperature; at the end of a day, say what it was like."""
        today = ctx.clock.now_utc().date()
        if today != self._day and self._noted:
            ctx.emit(self._summary())
            self._turn_page(today)
        sample = self.room.temperature.sample
        if sample.quality is Quality.GOOD and sample.value is not None:
            self._noted.append(sample.value)
            self._heated_min += self.heater.power.setpoint is True

    def _turn_page(self, day: date) -> None:
        self._day = day
        self._noted: list[float] = []
        self._heated_min = 0

    def _summary(self) -> DailySummary:
        noted = self._noted
        mean = round(sum(noted) / len(noted), 2)
        day = self._day.isoformat()
        return DailySummary(day, min(noted), max(noted), mean, self._heated_min)


def setup(runtime: Runtime) -> None:
    """Register the parts; called by the node with its runtime."""
    runtime.register(Climate())
    runtime.register(Pulse())
    runtime.register(Diary())
