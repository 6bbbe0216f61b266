"""The parts of a runtime by role, and its devices."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel import (
    Interface,
    Service,
)
from edgekernel.core.errors import (
    ConfigError,
)
from tests.core.parts import (
    Lamp,
    MakeRuntime,
    NotingInterface,
    NotingProcess,
    NotingService,
    Steps,
)


class TestManagers:
    def test_devices(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """A11.2: devices are attached, found, listed by kind and detached through one mapping."""

        class Fan(Lamp):
            kind = "fan"

        runtime = make_runtime()
        lamp, fan = Lamp("lamp", steps), Fan("fan", steps)
        runtime.devices.attach(lamp)
        assert steps.all == []
        runtime.boot()
        runtime.devices.attach(fan)
        assert fan.online
        assert runtime.devices["lamp"] is lamp
        assert runtime.devices.get("other") is None
        assert runtime.devices.list() == [lamp, fan]
        assert runtime.devices.list(kind="fan") == [fan]
        assert list(runtime.devices) == ["lamp", "fan"]
        for id in runtime.devices:
            runtime.devices.detach(id)
        assert len(runtime.devices) == 0
        assert not lamp.attached
        runtime.devices.attach(fan)
        with pytest.raises(ConfigError, match="fan: two parts"):
            runtime.devices.attach(Fan("fan", steps))

    def test_by_role(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """B2.1: processes, interfaces and services are there by name."""
        runtime = make_runtime()
        parts: list[Any] = [
            NotingProcess("p", steps), NotingInterface("i", steps), NotingService("s", steps),
        ]  # fmt: skip
        for part in parts:
            runtime.register(part)
        assert dict(runtime.processes) == {"p": parts[0]}
        assert dict(runtime.interfaces) == {"i": parts[1]}
        assert dict(runtime.services) == {"s": parts[2]}
        assert isinstance(runtime.services["s"], Service)
        assert isinstance(runtime.interfaces["i"], Interface)


def test_unknown_names_are_told_with_the_nearest(make_runtime: MakeRuntime, steps: Steps) -> None:
    """P11: a name that is not there is a KeyError that says which one may be meant."""
    runtime = make_runtime()
    runtime.register(Lamp("lamp", steps))
    runtime.register(NotingService("clock", steps))
    with pytest.raises(KeyError, match=r"no device 'lmap'; did you mean 'lamp'\?"):
        runtime.devices["lmap"]
    with pytest.raises(KeyError, match=r"no service 'clok'; did you mean 'clock'\?"):
        runtime.services["clok"]
    assert runtime.devices.get("lmap") is None
    assert runtime.services.get("clok") is None
    assert "lamp" in runtime.devices
    assert "clock" in runtime.services
