"""A circuit breaker: a component's own signals make its state something others can follow.

python examples/circuit_breaker.py
"""

from edgekernel import Runtime, Signal, UnavailableError, command, component, computed, effect


@component("pump")
class Pump:
    def __init__(self) -> None:
        self.failures = Signal(0)

    @computed
    def tripped(self) -> bool:
        return self.failures.get() >= 3

    @effect
    def show(self) -> None:
        """Runs when it trips and when it is reset, not at every failure."""
        print("pump: tripped" if self.tripped() else "pump: ready")

    @command
    def start(self, pressure: float) -> None:
        if self.tripped():
            raise UnavailableError("pump: tripped after 3 failures; reset it")
        self.failures.set(0 if pressure > 1.0 else self.failures.peek() + 1)

    @command
    def reset(self) -> None:
        self.failures.set(0)


def main() -> None:
    with Runtime() as runtime:
        runtime.register(Pump)
        for pressure in (1.5, 0.2, 0.1, 0.2):
            runtime.invoke("pump.start", {"pressure": pressure})
        try:
            runtime.invoke("pump.start", {"pressure": 1.5})
        except UnavailableError as error:
            print(error)
        runtime.invoke("pump.reset")


if __name__ == "__main__":
    main()
