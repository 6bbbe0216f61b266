"""The state that a new version is given by the old one (A5.1, P12)."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from edgekernel import (
    Effect,
    Runtime,
    Signal,
    command,
    computed,
    effect,
    lifecycle,
    on,
)
from tests.core.parts import (
    LONG_S,
    MakeRuntime,
    Simulation,
    Steps,
    Tick,
)
from tests.core.versions import V1, V2, Base, Consumer, ICounter, version


@pytest.fixture
def runtime(make_runtime: MakeRuntime) -> Runtime:
    """A runtime that runs, with one counter."""
    runtime = make_runtime()
    runtime.register(V1)
    runtime.boot()
    return runtime


class TestState:
    def test_plain_data_and_signals(self, runtime: Runtime) -> None:
        """A5.1: without hooks, plain data that both versions have is carried over, as copies."""
        old: Any = runtime.registry.require(ICounter)
        old.count, old.seen, old.gone = 7, [1, {"a": (2,)}], "away"
        old.level.set(3)
        [new] = runtime.hot_update(V2)
        assert (new.count, new.seen, new.level.get()) == (7, [1, {"a": (2,)}], 3)
        assert new.seen is not old.seen
        assert new.level is not old.level
        assert not hasattr(new, "gone")

    def test_hooks(self, make_runtime: MakeRuntime) -> None:
        """A5.1: what `snapshot` returns is given to `restore`, after `activate`."""
        steps = Steps()

        class Hooked(Base):
            @lifecycle.activate
            def activate(self) -> None:
                steps(f"activate {self.number}")

            @lifecycle.snapshot
            def save(self) -> dict[str, int]:
                return {"count": self.count}

            @lifecycle.restore
            def load(self, known: dict[str, int]) -> None:
                steps(f"restore {self.number} {known}")
                self.count = known["count"] * 10

        runtime = make_runtime()
        old = runtime.register(version("v1", Hooked))
        runtime.boot()
        old.count = 4
        [new] = runtime.hot_update(version("v2", Hooked))
        assert steps.all == ["activate v1", "activate v2", "restore v2 {'count': 4}"]
        assert new.count == 40

    def test_computeds_are_live(self, make_runtime: MakeRuntime) -> None:
        """P12: computeds of the new version follow its own signals (K6)."""

        class Deriving(Base):
            @computed
            def text(self) -> str:
                return f"{self.number}:{self.level.get()}"

        runtime = make_runtime()
        old = runtime.register(version("v1", Deriving))
        runtime.boot()
        old.level.set(1)
        assert old.text() == "v1:1"
        [new] = runtime.hot_update(version("v2", Deriving))
        assert new.text() == "v2:1"
        new.level.set(2)
        assert new.text() == "v2:2"

    def test_effects_see_the_restored_state(self, make_runtime: MakeRuntime) -> None:
        """P12: no effect of the new version runs before it has the state (K8)."""
        seen: list[str] = []

        class Following(Base):
            @effect
            def follow(self) -> None:
                seen.append(f"{self.number}:{self.level.get()}:{self.count}")

        runtime = make_runtime()
        old = runtime.register(version("v1", Following))
        runtime.boot()
        old.count = 5
        old.level.set(1)
        runtime.hot_update(version("v2", Following))
        assert seen == ["v1:0:0", "v1:1:5", "v2:1:5"]

    def test_the_old_version_is_silent_and_freed(self, make_runtime: MakeRuntime) -> None:
        """P12: no handler, effect or command of the old version is left (K3)."""
        shared = Signal(0)
        seen: list[str] = []

        class Busy(Base):
            @lifecycle.activate
            def activate(self) -> None:
                Effect(lambda: seen.append(f"made {self.number} {shared.get()}"))

            @effect
            def follow(self) -> None:
                seen.append(f"marked {self.number} {shared.get()}")

            @on(Tick)
            def handle(self, event: Any) -> None:
                seen.append(f"handled {self.number}")

            @command
            def act(self) -> str:
                return self.number

        runtime = make_runtime()
        old = weakref.ref(runtime.register(version("v1", Busy)))
        consumer = Consumer()
        consumer.given = []
        runtime.register(consumer)
        runtime.boot()
        runtime.hot_update(version("v2", Busy))
        seen.clear()
        consumer.given.clear()
        shared.set(1)
        runtime.emit(Tick())
        assert sorted(seen) == ["handled v2", "made v2 1", "marked v2 1"]
        assert runtime.invoke("counter.act") == "v2"
        gc.collect()
        assert old() is None

    def test_deactivated_once(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """P12: the old version is ended as in a removal, after the new one is in its place."""

        runtime = make_runtime()

        class Ending(Base):
            @lifecycle.deactivate
            def deactivate(self) -> None:
                current: Any = runtime.registry.require(ICounter)
                steps(f"end {self.number} while {current.version()} is there")

        runtime.register(version("v1", Ending))
        runtime.boot()
        runtime.hot_update(version("v2", Ending))
        assert steps.all == ["end v1 while v2 is there"]

    def test_async_hooks(self, sim: Simulation) -> None:
        """A5.1: hooks may be `async`; they are waited for, in simulated time too."""
        steps = Steps()

        class Hooked(Base):
            @lifecycle.activate
            async def activate(self) -> None:
                await asyncio.sleep(1.0)
                steps(f"activate {self.number}")

            @lifecycle.snapshot
            async def save(self) -> int:
                await asyncio.sleep(1.0)
                return self.count

            @lifecycle.restore
            async def load(self, known: int) -> None:
                await asyncio.sleep(1.0)
                self.count = known + 1

            @lifecycle.deactivate
            async def deactivate(self) -> None:
                await asyncio.sleep(0.5)
                steps(f"deactivate {self.number}")

        runtime = sim.runtime(slow_turn_s=LONG_S)
        old = runtime.register(version("v1", Hooked))
        runtime.boot()
        old.count = 4
        [new] = runtime.hot_update(version("v2", Hooked))
        assert new.count == 5
        assert steps.all == ["activate v1", "activate v2", "deactivate v1"]
        assert sim.clock.monotonic() == 4.5
        runtime.shutdown()
        assert steps.all[-1] == "deactivate v2"

    def test_an_async_hook_that_fails(self, sim: Simulation) -> None:
        """P12: what an `async` hook raises rolls the update back as any other failure."""

        class Bad(Base):
            @lifecycle.restore
            async def load(self, known: Any) -> None:
                await asyncio.sleep(1.0)
                raise OSError("no restore")

        runtime = sim.runtime(slow_turn_s=LONG_S)
        old = runtime.register(V1)
        runtime.boot()
        with pytest.raises(OSError, match="no restore"):
            runtime.hot_update(version("v2", Bad))
        assert runtime.registry.require(Base) is old
