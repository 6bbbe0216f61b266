"""Two controllers side by side: a map of variants, and a share of requests for the new one.

python examples/ab_split.py
"""

from __future__ import annotations

from typing import Protocol

from edgekernel import Runtime, Signal, command, component, computed, prop, provides, requires


class IController(Protocol):
    variant: str

    def power(self, celsius: float) -> int: ...


@provides(IController)
@prop("variant", "variant", "")
class Controller:
    variant: str

    def __init__(self, gain: int) -> None:
        self.gain = gain

    def power(self, celsius: float) -> int:
        return round(self.gain * (21.0 - celsius))


@component("router")
class Router:
    controllers = requires(IController, key="variant")  # {"a": ..., "b": ...}, as they come and go

    def __init__(self) -> None:
        self.percent_b = Signal(0)

    @computed
    def split(self) -> list[str]:
        """Which variant serves which of 100 rooms; made anew when share or variants change."""
        share = self.percent_b.get() if "b" in self.controllers else 0
        return ["b"] * share + ["a"] * (100 - share)

    @command
    def power(self, room: int, celsius: float) -> int:
        return self.controllers[self.split()[room % 100]].power(celsius)


def main() -> None:
    with Runtime() as runtime:
        runtime.register(Controller(gain=10), "steady", properties={"variant": "a"})
        router = runtime.register(Router)
        router.percent_b.set(20)

        def show() -> None:
            print([runtime.invoke("router.power", {"room": n, "celsius": 20}) for n in (0, 19, 20)])

        show()
        runtime.hot_add(Controller(gain=50), "eager", properties={"variant": "b"})
        show()
        runtime.hot_remove("eager")
        show()


if __name__ == "__main__":
    main()
