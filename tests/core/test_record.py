"""Dataclasses that are made complete when they are used for the first time."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from edgekernel import Message
from edgekernel.core.record import dataclass, field

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """One step."""

    value: T
    kind: ClassVar[str] = "step"
    unit: str = "V"
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return f"{self.value} {self.unit}"


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    name: str


class Moved(Message):
    kind: ClassVar[str] = "event"
    x: float
    y: float

    def swapped(self) -> Moved:
        return Moved(self.y, self.x)


def a_message() -> type[Any]:
    """A message class that nobody has used."""

    class Fresh(Message):
        x: int
        y: str

    return Fresh


def a_record() -> type[Any]:
    """A dataclass that nobody has used."""

    @dataclass(frozen=True, slots=True)
    class Fresh:
        x: int
        y: str

    return Fresh


BOTH = pytest.mark.parametrize("make", [a_message, a_record])


FIRST_USES: dict[str, Callable[[Any], object]] = {
    "making": lambda cls: cls(1, "a"),
    "making by name": lambda cls: cls(y="a", x=1),
    "fields": dataclasses.fields,
    "is_dataclass": dataclasses.is_dataclass,
    "match": lambda cls: cls.__match_args__,
    "parameters": lambda cls: cls.__dataclass_params__,
    "signature": inspect.signature,
}


@BOTH
@pytest.mark.parametrize("use", FIRST_USES)
def test_is_a_dataclass_however_it_is_used_first(make: Callable[[], Any], use: str) -> None:
    """Whatever is asked of it first, a class is a whole frozen, slotted dataclass."""
    cls = make()
    assert FIRST_USES[use](cls)
    it = cls(1, "a")
    assert dataclasses.is_dataclass(cls) is True
    assert [field.name for field in dataclasses.fields(cls)] == ["x", "y"]
    assert list(inspect.signature(cls).parameters) == ["x", "y"]
    assert it == cls(1, "a") != cls(2, "a")
    assert hash(it) == hash(cls(1, "a"))
    assert repr(it).endswith("Fresh(x=1, y='a')")
    other: Any = dataclasses.replace(it, x=2)
    assert other == cls(2, "a")
    assert dataclasses.asdict(it) == {"x": 1, "y": "a"}
    assert [copy.copy(it), copy.deepcopy(it)] == [it, it]
    assert cls.__match_args__ == ("x", "y")
    assert not hasattr(it, "__dict__")
    for name in ("x", "z"):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"'{name}'"):
            setattr(it, name, 2)
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"'{name}'"):
            delattr(it, name)
    with pytest.raises(TypeError, match="y"):
        cls(1)


def test_defaults_class_variables_and_methods() -> None:
    """Defaults, also such as are made for each instance, class variables and methods stay."""
    step = Step(5)
    assert (step.value, step.unit, step.notes, step.kind, step.text) == (5, "V", [], "step", "5 V")
    assert step.notes is not Step(5).notes
    assert Step[int](5, "A") == Step(5, unit="A")
    assert [f.name for f in dataclasses.fields(Step)] == ["value", "unit", "notes"]
    assert Step.__doc__ == "One step."
    assert Moved(1, 2).swapped() == Moved(2, 1)
    assert Moved.kind == "event"
    assert Place("a") != Place("a")
    assert len({Place("a"), Place("a")}) == 2


@pytest.mark.parametrize("it", [Step(5, "A", ["n"]), Moved(1.0, 2.0)])
def test_is_matched_by_position(it: object) -> None:
    """A pattern sees the fields in their order."""
    match it:
        case Step(value, unit):
            assert (value, unit) == (5, "A")
        case Moved(x, y):
            assert (x, y) == (1.0, 2.0)
        case _:
            pytest.fail("it does not match its class")


@pytest.mark.parametrize("it", [Step(5, "A", ["n"]), Moved(1.0, 2.0)])
def test_survives_pickling(it: object) -> None:
    """An instance can be sent to another process, also to one that has not used the class."""
    data = pickle.dumps(it)
    assert pickle.loads(data) == it  # noqa: S301


def test_a_message_is_unpickled_before_it_is_used() -> None:
    """A process that has never made a message of a class can read one."""
    code = (
        "import pickle, sys; m = pickle.loads(bytes.fromhex(sys.argv[1]));"
        "print(m, m.to_dict(), m == type(m)(m.device))"
    )
    from edgekernel import message

    data = pickle.dumps(message.DeviceOnline("lamp")).hex()
    done = subprocess.run(
        [sys.executable, "-c", code, data], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["DeviceOnline(device='lamp')", "{'device':", "'lamp'}", "True"]


def test_a_class_is_derived_from_before_it_is_used() -> None:
    """A message class has the fields of its bases, used or not, and a class' own `__init__`."""
    base: Any = a_message()

    class Worse(base):  # type: ignore[misc]
        z: float = 1.5

    class Own(Message):
        x: int

        def __init__(self) -> None:
            super().__init__()
            object.__setattr__(self, "x", 7)

    assert Worse(1, "a").to_dict() == {"x": 1, "y": "a", "z": 1.5}
    assert base(1, "a") != Worse(1, "a")
    assert Own().to_dict() == {"x": 7}
    assert Own() == Own()


def test_an_explicit_dataclass_keeps_its_options() -> None:
    """A message that is written as a dataclass has what its decorator says."""

    @dataclasses.dataclass(frozen=True, slots=True, order=True, kw_only=True)
    class Ranked(Message):
        rank: int

    @dataclasses.dataclass(frozen=True, slots=True)
    class Lenient(Message):
        rank: int
        why: str = "because"

    ranked: Any = Ranked
    assert ranked(rank=1) < ranked(rank=2)
    with pytest.raises(TypeError, match="positional"):
        ranked(1)
    assert Lenient(1).to_dict() == {"rank": 1, "why": "because"}
    assert not hasattr(Lenient(1), "__dict__")


def test_what_is_wrong_with_a_message_shows_when_it_is_defined() -> None:
    """A mutable default and a field without a default behind one with are errors at once."""
    with pytest.raises(ValueError, match="mutable default"):

        class Shared(Message):
            names: list[str] = []  # noqa: RUF012

    with pytest.raises(TypeError, match="non-default argument"):

        class Disordered(Message):
            first: int = 1
            second: str  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]


def test_fields_of_bases_come_first() -> None:
    """A class that is derived from a dataclass has its fields before its own."""

    @dataclass(frozen=True, slots=True)
    class Further(Step[int]):
        unit: str = "A"
        more: int = 1

    assert repr(Further(5)).endswith("Further(value=5, unit='A', notes=[], more=1)")
    assert Further(5, "B", ["n"], 2).text == "5 B"
    assert Further(5) != Step(5, "A")


def test_methods_of_its_own_stay() -> None:
    """A class' own comparison, text and check of its fields are kept, however it is used first."""

    @dataclass(frozen=True, slots=True)
    class Caseless:
        text: str
        tags: tuple[str, ...] = ()

        def __post_init__(self) -> None:
            if not self.text:
                raise ValueError("empty")

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Caseless) and self.text.lower() == other.text.lower()

        def __hash__(self) -> int:
            return hash(self.text.lower())

        def __repr__(self) -> str:
            return f"<{self.text}>"

    assert {Caseless("A"), Caseless("a", ("t",))} == {Caseless("a")}
    assert repr(Caseless("A")) == "<A>"
    with pytest.raises(ValueError, match="empty"):
        Caseless("")
    assert dataclasses.replace(Caseless("A"), text="b") == Caseless("B")
    with pytest.raises(ValueError, match="empty"):
        dataclasses.replace(Caseless("A"), text="")


def test_slots_cannot_be_stated() -> None:
    """The slots of a message are its fields; others cannot be added."""
    with pytest.raises(TypeError, match="__slots__"):

        class Slotted(Message):
            __slots__ = ("cache",)
            x: int


@pytest.mark.usefixtures("eager_switching")
@BOTH
def test_many_threads_use_a_class_first(make: Callable[[], Any]) -> None:
    """An instance made while another thread makes the first one is whole."""
    for _ in range(30):
        cls = make()
        start = threading.Barrier(4)
        wrong: list[object] = []

        def use(
            cls: Any = cls, start: threading.Barrier = start, wrong: list[object] = wrong
        ) -> None:
            start.wait()
            try:
                one, two = cls(1, "a"), cls(1, "a")
                if not (one == two and hash(one) == hash(two) and one.x == 1):
                    wrong.append(one)
            except Exception as error:
                wrong.append(error)

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
