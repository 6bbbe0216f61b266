"""A new version of a component takes over while the node runs, with what the old one knew.

python examples/hot_update.py
"""

from __future__ import annotations

from edgekernel import Runtime, Signal, command, component, effect, lifecycle


@component("counter", version="1")
class Counter:
    def __init__(self) -> None:
        self.litres = Signal(0.0)

    @command
    def add(self, litres: float) -> None:
        self.litres.set(self.litres.peek() + litres)

    @effect
    def show(self) -> None:
        print(f"version 1: {self.litres.get()} l")

    @lifecycle.snapshot
    def known(self) -> float:
        return self.litres.peek()


@component("counter", version="2")
class Counter2:
    """Counts in cubic metres."""

    def __init__(self) -> None:
        self.volume = Signal(0.0)

    @lifecycle.restore
    def take_over(self, litres: float) -> None:
        self.volume.set(litres / 1000)

    @command
    def add(self, litres: float) -> None:
        self.volume.set(self.volume.peek() + litres / 1000)

    @effect
    def show(self) -> None:
        print(f"version 2: {self.volume.get()} m3")


@component("counter", version="3")
class Counter3(Counter2):
    @lifecycle.activate
    def up(self) -> None:
        raise OSError("does not start on this board")


def main() -> None:
    with Runtime() as runtime:
        runtime.register(Counter)
        runtime.invoke("counter.add", {"litres": 250.0})
        runtime.hot_update(Counter2)
        try:
            runtime.hot_update(Counter3)
        except OSError as error:
            print(f"version 3: {error}")
        runtime.invoke("counter.add", {"litres": 500.0})  # version 2 is still there


if __name__ == "__main__":
    main()
