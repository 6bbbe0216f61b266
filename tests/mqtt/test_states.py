"""The retained states follow the devices that there are."""

from __future__ import annotations

from tests.mqtt.parts import Heater, Lamp, staged_node
from tests.mqtt.seer import BASE, Seer
from tests.stages import Stage

OVEN = f"{BASE}/state/oven"


def test_a_device_that_comes_and_goes(stage: Stage) -> None:
    """A device that is added has a state; when it is removed nothing of it is retained."""
    seer = Seer(stage)
    with staged_node(stage) as n1:
        n1.runtime.hot_add(Heater("oven"))
        seer.sees(OVEN, lambda state: state["online"])
        seer.forget()
        n1.runtime.hot_remove("oven")
        stage.until(
            lambda: any(got.topic == OVEN and not got.payload for got in seer.peer.received),
            "an empty state",
        )
        late = Seer(stage, "late")
        late.sees(f"{BASE}/state/lamp")
        late.sees(f"{BASE}/status")
        assert late.on(OVEN) == []


def test_a_device_that_is_replaced(stage: Stage) -> None:
    """The state is that of the new one, and it was never gone."""
    seer = Seer(stage, filter=f"{BASE}/state/lamp")
    with staged_node(stage) as n1:
        seer.sees(f"{BASE}/state/lamp", lambda state: state["light_level"]["value"] == 0)
        new = Lamp("lamp")
        n1.runtime.hot_update(new)
        new.light_level.update(42.0)
        seer.sees(f"{BASE}/state/lamp", lambda state: state["light_level"]["value"] == 42)
        assert all(got.payload for got in seer.peer.received)
