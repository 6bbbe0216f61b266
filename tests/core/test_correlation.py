"""Source, cause and correlation of events: what has led to what (issue: messages)."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel import Event, Message, Process, Runtime, Signal, command, effect, on

MakeRuntime = Callable[..., Runtime]


class Pressed(Message):
    """The beginning."""


class Noted(Message):
    """What a handler emits."""


class Lit(Message):
    """What an effect emits."""


class Chain(Process):
    """Turns a press into a note, a level and a light."""

    name = "chain"

    def __init__(self) -> None:
        self.level = Signal(0)
        self.seen: list[Event] = []

    @on(Pressed)
    def note(self, event: Event) -> None:
        self.ctx.emit(Noted())
        self.level.set(self.level.peek() + 1)

    @effect
    def light(self) -> None:
        if self.level.get():
            self.ctx.emit(Lit())

    @on(Pressed, Noted, Lit)
    def see(self, event: Event) -> None:
        self.seen.append(event)

    @command
    def press(self) -> None:
        self.ctx.emit(Pressed())

    def told(self) -> list[tuple[str, int | None, str | None]]:
        first = self.seen[0].seq
        return [
            (e.payload.name, None if e.cause is None else e.cause - first, e.correlation)
            for e in self.seen
        ]


def booted(make_runtime: MakeRuntime) -> tuple[Runtime, Chain]:
    runtime, chain = make_runtime(), Chain()
    runtime.register(chain)
    runtime.boot()
    return runtime, chain


def test_a_chain_shares_its_correlation(make_runtime: MakeRuntime) -> None:
    """What follows from an event, through handlers and effects, names it and has its id."""
    runtime, chain = booted(make_runtime)
    runtime.emit(Pressed(), source="door", correlation="req-7")
    assert chain.told() == [
        ("pressed", None, "req-7"),
        ("noted", 0, "req-7"),
        ("lit", 0, "req-7"),
    ]
    assert [event.source for event in chain.seen] == ["door", "chain", "chain"]


def test_without_one_there_is_none(make_runtime: MakeRuntime) -> None:
    """An event from outside has no cause, and no correlation unless it is given one."""
    runtime, chain = booted(make_runtime)
    runtime.emit(Pressed(), correlation="first")
    chain.seen.clear()
    runtime.emit(Pressed())
    assert [correlation for _, _, correlation in chain.told()] == [None, None, None]


def test_a_request_begins_a_chain(make_runtime: MakeRuntime) -> None:
    """What a command emits has the key of the request, and no event for its cause."""
    runtime, chain = booted(make_runtime)
    runtime.invoke("chain.press", key="k1")
    assert chain.told() == [("pressed", None, "k1"), ("noted", 0, "k1"), ("lit", 0, "k1")]
