"""Children: parts that live and end with their parent (A4.9)."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel import (
    Context,
    message,
    on,
)
from edgekernel.core.errors import (
    ConfigError,
    LifecycleError,
)
from tests.core.parts import (
    Counter,
    MakeRuntime,
    NotingProcess,
    NotingService,
    Simulation,
    Steps,
    Tick,
    messages_of,
)


class TestSpawn:
    def parent(self, steps: Steps, where: str = "start") -> NotingProcess:
        class Parent(NotingProcess):
            child: Any = None

            def start(self, ctx: Context) -> None:
                super().start(ctx)
                if where == "start":
                    self.spawn()

            @on(Tick)
            def handle(self, event: Any) -> None:
                self.spawn()

            def spawn(self) -> None:
                child = self.ctx.spawn(NotingProcess("child", self.steps))
                assert self.child in (None, child)
                self.child = child
                self.ctx.spawn(Counter, "child-counter", {"label": "of the child"})

        return Parent("parent", steps)

    def test_lives_with_its_parent(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """A4.9: children start with their parent and are stopped before it, also when it is hot."""
        runtime = make_runtime()
        runtime.register(self.parent(steps))
        runtime.boot()
        assert runtime.status()["components"]["child"]["parent"] == "parent"
        runtime.hot_remove("parent")
        runtime.hot_add(self.parent(steps))
        runtime.shutdown()
        once = ["start parent", "start child", "stop child", "stop parent"]
        assert steps.all == once * 2
        assert list(runtime.status()["components"]) == ["parent", "child", "child-counter"]

    def test_is_idempotent(self, sim: Simulation, steps: Steps) -> None:
        """A4.9: spawning a child of a name again returns the one that is there."""
        runtime = sim.runtime()
        runtime.register(self.parent(steps))
        runtime.boot()
        runtime.emit(Tick())
        runtime.emit(Tick())
        sim.advance(0.1)
        assert steps.of("start") == ["start parent", "start child"]

    def test_by_a_handler(self, sim: Simulation, steps: Steps) -> None:
        """P2: a handler that spawns goes on at once; the child is started beside it."""
        runtime = sim.runtime()
        runtime.register(self.parent(steps, "handler"))
        runtime.boot()
        runtime.emit(Tick())
        sim.advance(0.1)
        assert steps.all == ["start parent", "start child"]
        assert "child-counter" in runtime.status()["components"]

    def test_a_name_that_is_taken(self, make_runtime: MakeRuntime, steps: Steps) -> None:
        """A4.9: a name of another part is refused, and the parent does not start."""
        runtime = make_runtime()
        runtime.boot()
        runtime.hot_add(NotingProcess("child", steps))
        with pytest.raises(ConfigError, match="child: two parts of this name"):
            runtime.hot_add(self.parent(steps))
        assert list(runtime.status()["components"]) == ["child"]
        assert steps.all == ["start child", "start parent", "stop parent"]

    def test_after_the_end_of_its_parent(self, sim: Simulation, steps: Steps) -> None:
        """P12: a child asked for by a handler whose part is removed meanwhile is not started."""
        runtime = sim.runtime()
        runtime.register(self.parent(steps, "handler"))
        runtime.boot()
        failed = messages_of(runtime, message.HotChangeFailed)
        runtime.subscribe(Tick, lambda _: runtime.hot_remove("parent"))
        contexts = [runtime.processes["parent"].ctx]
        runtime.hot_remove("parent")
        with pytest.raises(LifecycleError, match="its parent parent has gone"):
            contexts[0].spawn(NotingProcess("orphan", steps))
        assert failed == []
        assert runtime.status()["components"] == {}

    def test_a_fresh_component_is_no_stray_root(self, make_runtime: MakeRuntime) -> None:
        """K15: a class that is only spawned has no instance of its own."""
        runtime = make_runtime()
        runtime.register(self.parent(Steps()))
        runtime.boot()
        assert len(runtime.registry.all("ICounter")) == 1

    def test_a_service_that_is_restarted(self, sim: Simulation, steps: Steps) -> None:
        """A4.9: a service that spawns in each of its starts keeps the one child it has."""

        class Parent(NotingService):
            backoff_s = 1.0

            def start(self, ctx: Context) -> None:
                super().start(ctx)
                ctx.spawn(NotingProcess("child", self.steps))

            def tick(self, ctx: Context) -> None:
                if ctx.clock.monotonic() < 1.0:
                    raise ValueError("no")

        runtime = sim.runtime()
        runtime.register(Parent("parent", steps))
        runtime.boot()
        sim.advance(5.0)
        assert steps.all == [
            "start parent", "start child", "stop parent", "start parent",
        ]  # fmt: skip
        runtime.shutdown()
        assert steps.all[-2:] in (["stop child", "stop parent"], ["stop parent", "stop child"])
