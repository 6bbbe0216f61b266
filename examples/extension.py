"""An extension joins a running system, takes part, and leaves without a trace.

python examples/extension.py
"""

from edgekernel import Context, Event, Message, Runtime, command, component, on, requires


class Watered(Message):
    bed: str
    litres: float


@component("watering")
class Watering:
    ctx: Context

    @command
    def water(self, bed: str, litres: float) -> None:
        self.ctx.emit(Watered(bed, litres))


@component("meter")
class Meter:
    """The extension, first half: counts what the system does, which knows nothing of it."""

    def __init__(self) -> None:
        self.total = 0.0

    @on(Watered)
    def count(self, event: Event) -> None:
        assert isinstance(event.payload, Watered)
        self.total += event.payload.litres


@component("bill")
class Bill:
    """Second half: a command of its own, on what the first half knows."""

    meter = requires(Meter)

    @command
    def show(self, price: float) -> str:
        return f"{self.meter.total} l: {self.meter.total * price:.2f}"


def main() -> None:
    with Runtime() as runtime:
        runtime.register(Watering)
        for part in (Meter, Bill):
            runtime.hot_add(part)
        runtime.invoke("watering.water", {"bed": "tomatoes", "litres": 12.0})
        print(runtime.invoke("bill.show", {"price": 0.25}))
        for name in ("bill", "meter"):
            runtime.hot_remove(name)
        runtime.invoke("watering.water", {"bed": "tomatoes", "litres": 5.0})
        print(list(runtime.status()["components"]))


if __name__ == "__main__":
    main()
