"""The retained states follow the devices that there are."""

from __future__ import annotations

from tests.mqtt.parts import Heater, Lamp, Node, fill, staged_node
from tests.mqtt.seer import BASE, Seer
from tests.stages import SimStage, Stage

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


def drop(n1: Node) -> None:
    """Switch the lamp on where nobody notices: the turns that would are dropped."""
    fill(n1.runtime.turns)
    n1.lamp.power.set(True)


def is_right(seer: Seer) -> bool:
    """Say whether the latest state of the lamp, and its latest sample, are those that it has."""
    state, data = (seer.on(f"{BASE}/{kind}/lamp") for kind in ("state", "data"))
    return (
        bool(data)
        and [state[-1][name]["value"] for name in ("power", "light_level")] == [True, 100]
        and [sample[1] for each in data for sample in each["samples"].get("light_level", [])][1:]
        == [100]
    )


def test_what_a_full_queue_has_dropped_is_told(sim_stage: SimStage) -> None:
    """Effects whose turns were dropped: state and history are right within half a minute, without
    another change and without a sample of what has not changed; so is what comes later."""
    seer = Seer(sim_stage)
    with staged_node(sim_stage, history_s=1.0) as n1:
        seer.sees(f"{BASE}/data/lamp")
        drop(n1)
        sim_stage.sim_clock.advance(5)
        assert n1.runtime.turns.depth == 0
        assert not is_right(seer)
        sim_stage.sim_clock.advance(30)
        assert is_right(seer)
        sim_stage.sim_clock.advance(60)
        assert is_right(seer)


def test_a_new_link_looks_at_what_was_dropped(sim_stage: SimStage) -> None:
    """What was dropped while the broker was away is right as soon as it is back."""
    seer = Seer(sim_stage)
    with staged_node(sim_stage) as n1:
        seer.sees(f"{BASE}/state/lamp")
        sim_stage.kill()
        drop(n1)
        sim_stage.start()
        seer = Seer(sim_stage, "late")
        sim_stage.sim_clock.advance(5)
        late = seer.on(f"{BASE}/state/lamp")
        assert late[-1]["power"]["value"] is True
