"""What the tests of outputs share: a device with outputs of each kind, and a way to run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekernel import Device, Limits, Message, Runtime, output
from edgekernel.core.memory import Memory


class Plant(Device):
    """A pump, a valve and a mode; notes what is driven, and reports what the hardware does."""

    pump = output(bool, safe=False)
    valve = output(float, safe=0.0, range=(0, 1), precision=2)
    steps = output(int, safe=0, range=(-100, 100))
    mode = output(str, safe=None)
    lamp = output(bool, safe=None)

    def __init__(self, id: str = "plant", **limits: Limits) -> None:
        super().__init__(id)
        self.driven: list[tuple[float, Any]] = []
        self.hardware: dict[str, Any] = {}
        self.stuck = False
        self.failures: list[Exception] = []
        self.when_driving: Callable[[], object] | None = None
        for name, each in limits.items():
            self.outputs[name].limits = each

    def _do(self, name: str, value: Any) -> Any:
        if self.when_driving is not None:
            self.when_driving()
        if self.failures:
            raise self.failures.pop(0)
        self.driven.append((round(self.clock.monotonic(), 6), value))
        if not self.stuck:
            self.hardware[name] = value
        return self.hardware.get(name, value)

    @pump.drive
    def drive_pump(self, value: bool) -> bool:
        done: bool = self._do("pump", value)
        return done

    @pump.read
    def read_pump(self) -> bool:
        on: bool = self.hardware.get("pump", False)
        return on

    @valve.drive
    def drive_valve(self, value: float) -> float:
        done: float = self._do("valve", value)
        return done

    @steps.drive
    def drive_steps(self, value: int) -> int:
        done: int = self._do("steps", value)
        return done

    @mode.drive
    def drive_mode(self, value: str) -> str:
        done: str = self._do("mode", value)
        return done

    @lamp.drive
    def drive_lamp(self, value: bool) -> bool:
        done: bool = self._do("lamp", value)
        return done


class Running:
    """A plant in a booted runtime on simulated time, with the messages about outputs."""

    def __init__(self, sim: Any, memory: Memory | None = None, **limits: Limits) -> None:
        self.sim = sim
        self.plant = Plant("plant", **limits)
        self.runtime: Runtime = sim.runtime(memory=memory)
        self.told: list[Message] = []
        self.runtime.subscribe(Message, self._note)
        self.runtime.register(self.plant)
        self.runtime.boot()
        self.plant.driven.clear()

    def _note(self, event: Any) -> None:
        if event.payload.name.startswith("output."):
            self.told.append(event.payload)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.sim.advance(seconds)
