"""Drivers that hang, and are removed, added or replaced while the runtime runs (P12)."""

from __future__ import annotations

import pytest

from edgekernel import message
from edgekernel.core.errors import LifecycleError, StillConnectingError
from tests.core.parts import Lamp, Simulation, Steps, messages_of
from tests.core.test_connector import LIMIT_S, Kept


def test_removed_while_it_hangs(sim: Simulation, steps: Steps) -> None:
    """P12: it is taken out at once and lets go when it returns; one that follows is its own."""
    runtime = sim.runtime()
    runtime.register(first := Kept("kept", steps, for_s=60.0), optional=True)
    left = messages_of(runtime, message.ShutdownStepFailed)
    runtime.boot()
    runtime.hot_remove("kept")
    assert "kept" not in runtime.devices
    assert [each.step for each in left] == ["connect of kept"]
    runtime.hot_add(second := Kept("kept", steps, for_s=1.0))
    assert second.online
    sim.advance(100.0)
    assert steps.all == ["connect kept", "connect kept", "drive kept False", "disconnect kept"]
    assert (first.attached, second.attached) == (False, True)


def test_removed_and_added_again(sim: Simulation, steps: Steps) -> None:
    """P12: the same device, wanted again while it hangs, is attached when it returns."""
    runtime = sim.runtime()
    runtime.register(kept := Kept("kept", steps, for_s=60.0), optional=True)
    runtime.boot()
    runtime.hot_remove("kept")
    runtime.hot_add(kept, optional=True)
    sim.advance(100.0)
    assert steps.all == ["connect kept", "drive kept False"]
    assert kept.online


def test_added_while_it_runs(sim: Simulation, steps: Steps) -> None:
    """P12: a required device that hangs is not added, and keeps other changes for its limit."""
    runtime = sim.runtime()
    runtime.boot()
    with pytest.raises(StillConnectingError, match="kept: its connect has not returned for 10 s"):
        runtime.hot_add(Kept("kept", steps, for_s=60.0))
    assert (sim.clock.monotonic(), "kept" in runtime.devices) == (LIMIT_S, False)
    runtime.hot_add(Lamp("lamp", steps))
    sim.advance(100.0)
    assert steps.all == ["connect kept", "connect lamp", "drive lamp False", "disconnect kept"]


class TestUpdate:
    def test_of_one_that_hangs(self, sim: Simulation, steps: Steps) -> None:
        """P12: a new version takes the place of a device that hangs, which lets go late."""
        runtime = sim.runtime()
        runtime.register(old := Kept("kept", steps, for_s=60.0), optional=True)
        runtime.boot()
        runtime.hot_update(new := Kept("kept", steps, for_s=0.0))
        assert runtime.devices["kept"] is new
        assert new.online
        sim.advance(100.0)
        assert steps.all == ["connect kept", "connect kept", "drive kept False", "disconnect kept"]
        assert (old.attached, runtime.status()["state"]) == (False, "running")

    def test_by_one_that_hangs(self, sim: Simulation, steps: Steps) -> None:
        """P12: the old version has its place again after the limit; the new one lets go late."""
        runtime = sim.runtime()
        runtime.register(old := Kept("kept", steps, for_s=0.0))
        runtime.boot()
        new = Kept("kept", steps, for_s=60.0)
        with pytest.raises(StillConnectingError):
            runtime.hot_update(new)
        assert runtime.devices["kept"] is old
        assert old.online
        before = steps.of("disconnect")
        sim.advance(100.0)
        assert steps.of("disconnect") == [*before, "disconnect kept"]
        assert (old.online, new.attached) == (True, False)

    def test_of_one_whose_disconnect_hangs(self, sim: Simulation, steps: Steps) -> None:
        """P12: it is not updated, is missing until its disconnect returns, and comes back then."""

        class Clinging(Lamp):
            def disconnect(self) -> None:
                super().disconnect()
                self.clock.sleep(30.0)

        runtime = sim.runtime()
        runtime.register(old := Clinging("lamp", steps))
        runtime.boot()
        with pytest.raises(LifecycleError, match="lamp: not updated: its disconnect does not"):
            runtime.hot_update(Lamp("lamp", steps))
        assert sim.clock.monotonic() < 15.0
        assert runtime.status()["degraded"] == ["lamp"]
        sim.advance(60.0)
        assert runtime.devices["lamp"] is old
        assert old.online
        assert steps.of("connect", "disconnect") == [
            "connect lamp", "disconnect lamp", "connect lamp",
        ]  # fmt: skip


class TestDisconnectThatHangs:
    def test_hot_removed(self, sim: Simulation, steps: Steps) -> None:
        """P12: a device whose disconnect hangs is taken out all the same, and that is told."""

        class Clinging(Lamp):
            def disconnect(self) -> None:
                super().disconnect()
                self.clock.sleep(1e6)

        runtime = sim.runtime()
        runtime.register(Clinging("lamp", steps))
        runtime.boot()
        told = messages_of(runtime, message.ShutdownStepFailed)
        runtime.hot_remove("lamp")
        assert "lamp" not in runtime.devices
        assert [each.step for each in told] == ["detach of lamp"]
        before = sim.clock.monotonic()
        runtime.shutdown()
        assert sim.clock.monotonic() == before
        assert steps.of("disconnect") == ["disconnect lamp"]
