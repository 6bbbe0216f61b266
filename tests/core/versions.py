"""A component of which the tests make versions, and one that requires it."""

from __future__ import annotations

from typing import Any, Protocol, cast

from edgekernel import (
    Process,
    Signal,
    component,
    effect,
    prop,
    provides,
    requires,
)


class ICounter(Protocol):
    def version(self) -> str: ...


class Base:
    """A component of which the tests make versions."""

    number = "v0"

    def __init__(self) -> None:
        self.count = 0
        self.level = Signal(0)
        self.seen: list[Any] = []

    def version(self) -> str:
        return self.number


def version(number: str, *bases: type, **body: Any) -> Any:
    """Make a version of the component "counter"."""
    cls = type(number, bases or (Base,), {"number": number, **body})
    return component(name="counter")(
        provides(cast("Any", ICounter))(prop("label", "label", "none")(cls))
    )


V1, V2 = version("v1"), version("v2")


class Consumer(Process):
    """Records what it is given."""

    name = "consumer"
    counter: Any = requires(cast("Any", ICounter))

    def __init__(self) -> None:
        self.given: list[Any] = []

    @effect
    def follow(self) -> None:
        self.given.append(self.counter)
