"""Hot changes at random, checked against what must hold after each (promises P6, P12)."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest

from edgekernel import Process, Runtime, Signal, effect, message, on, requires
from edgekernel.core.errors import EdgekernelError
from tests.core.parts import LONG_S, MakeRuntime, Simulation, Tick

NAMES = ("a", "b", "c", "d")


class Part(Process):
    """Optionally requires another one; knows whether it is live."""

    needs: Any = None
    fails = False

    def __init__(self, name: str, trigger: Signal[int], wrong: list[str]) -> None:
        self.name, self.trigger, self.wrong = name, trigger, wrong
        self.live = False
        self.ran = self.handled = 0

    def start(self, ctx: Any) -> None:
        if self.live:
            self.wrong.append(f"{self.name}: started twice")
        self.live = True
        if self.fails:
            raise OSError("told to fail")

    def stop(self, ctx: Any) -> None:
        if not self.live:
            self.wrong.append(f"{self.name}: stopped while it is not live")
        self.live = False

    def _check(self, what: str) -> None:
        if not self.live:
            self.wrong.append(f"{self.name}: {what} while it is not live")

    @effect
    def follow(self) -> None:
        self.trigger.get()
        self._check("effect")
        self.ran += 1

    @on(Tick)
    def handle(self, event: Any) -> None:
        self._check("handler")
        self.handled += 1


def kinds() -> list[type[Part]]:
    """Return one class for each name; each but the first requires the one before it."""
    made: list[type[Part]] = []
    for name in NAMES:
        body = {"needs": requires(made[-1], optional=name == "d")} if made else {}
        made.append(type(f"Part{name}", (Part,), body))
    return made


class World:
    """A runtime, and changes made to it at random."""

    def __init__(self, runtime: Runtime, seed: int) -> None:
        self.runtime = runtime
        self.random = random.Random(seed)
        self.trigger = Signal(0)
        self.wrong: list[str] = []
        self.parts: list[Part] = []
        self.classes: dict[str, type[Part]] = dict(zip(NAMES, kinds(), strict=True))

    def change(self) -> None:
        """Do something, which may well be refused."""
        name = self.random.choice(NAMES)
        fails = self.random.random() < 0.2
        try:
            match self.random.choice(["add", "add", "update", "remove", "force"]):
                case "add":
                    self.runtime.hot_add(self.make(name, fails))
                case "update":
                    self.runtime.hot_update(self.make(name, fails))
                case "remove":
                    self.runtime.hot_remove(name)
                case "force":
                    self.runtime.hot_remove(name, force=True)
        except (EdgekernelError, OSError):
            pass

    def make(self, name: str, fails: bool) -> Part:
        part = self.classes[name](name, self.trigger, self.wrong)
        part.fails = fails
        self.parts.append(part)
        return part

    def check(self) -> None:
        """See that exactly the active parts live and work, and that all others are let go."""
        active = {
            name
            for name, part in self.runtime.status()["components"].items()
            if part["state"] == "active"
        }
        here = [self.runtime.processes[name] for name in active]
        before = {part: (part.ran, part.handled) for part in self.parts}
        self.trigger.set(self.trigger.peek() + 1)
        self.runtime.emit(Tick())
        assert self.runtime.turns.wait_idle(LONG_S)
        for part in self.parts:
            ran, handled = before[part]
            there = any(part is each for each in here)
            assert part.live == there, part
            assert (part.ran - ran, part.handled - handled) == ((1, 1) if there else (0, 0)), part
            assert (self.runtime.registry.find(type(part), id=part.name) is part) == there
        assert self.wrong == []


@pytest.mark.parametrize("seed", range(30))
def test_one_after_the_other(sim: Simulation, seed: int) -> None:
    """P12: after any sequence of changes, what is active works, and nothing else is left."""
    world = World(sim.runtime(), seed)
    world.runtime.boot()
    for _ in range(30):
        world.change()
        world.check()
        sim.advance(world.random.choice([0.0, 0.0, 3.0]))
    world.runtime.shutdown()
    assert not any(part.live for part in world.parts)
    assert world.wrong == []


@pytest.mark.parametrize("seed", range(4))
def test_by_many_threads_while_events_fly(
    make_runtime: MakeRuntime, seed: int, eager_switching: None
) -> None:
    """P12: threads that change the runtime at once leave it as whole as one alone."""
    runtime = make_runtime(slow_turn_s=LONG_S)
    world = World(runtime, seed)
    runtime.boot()
    done = threading.Event()

    def fire() -> None:
        while not done.wait(0.0005):
            runtime.emit(Tick())
            world.trigger.set(world.trigger.peek() + 1)

    def change() -> None:
        for _ in range(25):
            world.change()

    firing = threading.Thread(target=fire)
    changing = [threading.Thread(target=change) for _ in range(3)]
    for thread in (firing, *changing):
        thread.start()
    for thread in changing:
        thread.join(60.0)
    done.set()
    firing.join(LONG_S)
    assert runtime.turns.wait_idle(LONG_S)
    assert world.wrong == []
    world.check()


@pytest.mark.parametrize("seed", range(4))
def test_a_shutdown_in_the_middle(make_runtime: MakeRuntime, seed: int) -> None:
    """P6, P12: a shutdown at any moment of the changes leaves nothing live and hangs nobody."""
    runtime = make_runtime()
    world = World(runtime, seed)
    stopped: list[Any] = []
    runtime.subscribe(message.RuntimeShutdown, stopped.append)
    runtime.boot()

    def change() -> None:
        for _ in range(200):
            world.change()

    changing = [threading.Thread(target=change) for _ in range(3)]
    for thread in changing:
        thread.start()
    threading.Event().wait(world.random.random() * 0.05)
    runtime.shutdown()
    for thread in changing:
        thread.join(LONG_S)
    assert not any(thread.is_alive() for thread in changing)
    assert len(stopped) == 1
    assert not any(part.live for part in world.parts)
    assert world.wrong == []
