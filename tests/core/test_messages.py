"""Messages and events."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, dataclass, fields
from datetime import UTC, datetime
from enum import IntEnum

import pytest

from edgekernel import ConfigError, Event, Message, Severity, message
from edgekernel.core.errors import UnknownTargetError
from edgekernel.core.messages import find


class Overheated(Message):
    severity = Severity.WARNING
    device: str
    celsius: float = 30.0


class HTTPServerLost(Message):
    pass


class Renamed(Message):
    name = "my.own"


class WorseOverheated(Overheated):
    room: str = "hall"


def test_is_a_frozen_slotted_dataclass() -> None:
    """A message class is a dataclass whose instances cannot be changed or extended."""
    overheated = Overheated("room", celsius=31.5)
    assert [field.name for field in fields(overheated)] == ["device", "celsius"]
    with pytest.raises(FrozenInstanceError):
        overheated.device = "hall"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del overheated.device  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        overheated.colour = "red"  # type: ignore[attr-defined]
    assert not hasattr(overheated, "__dict__")


def test_is_compared_and_hashed_by_value() -> None:
    """Two messages with equal fields are equal, of different classes never."""
    assert Overheated("room") == Overheated("room", 30.0)
    assert Overheated("room") != Overheated("hall")
    assert len({Overheated("room"), Overheated("room")}) == 1
    nothing: list[Message] = [HTTPServerLost(), Renamed()]
    assert nothing[0] != nothing[1]


def test_names() -> None:
    """The name comes from the class name, word by word, unless the class gives one."""
    assert Overheated.name == "overheated"
    assert HTTPServerLost.name == "http.server.lost"
    assert Renamed.name == "my.own"
    assert Renamed().name == "my.own"
    assert WorseOverheated.name == "worse.overheated"


def test_severity_is_inherited_and_info_by_default() -> None:
    """A class without a severity has its base's, at first INFO."""
    assert HTTPServerLost.severity is Severity.INFO
    assert WorseOverheated.severity is Severity.WARNING
    assert Severity.ERROR < Severity.CRITICAL


def test_severities_are_those_of_the_seed() -> None:
    """A10.9: five severities, whose numbers leave room between them."""
    numbers = {each.name: int(each) for each in Severity}
    assert numbers == {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


def test_to_dict() -> None:
    """`to_dict` gives the fields of the class and its bases, by name."""
    expected = {"device": "room", "celsius": 31.0, "room": "hall"}
    assert WorseOverheated("room", 31.0).to_dict() == expected


def test_missing_and_unknown_fields_are_errors() -> None:
    """A message is made with exactly its fields."""
    with pytest.raises(TypeError, match="device"):
        Overheated()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        Overheated("room", colour="red")  # type: ignore[call-arg]


def test_a_class_that_is_a_dataclass_already() -> None:
    """The seeds' own way of writing a message, as an explicit dataclass, works as well."""

    @dataclass(slots=True, frozen=True)
    class ProcessError(Message):
        name = "process.error"
        severity = Severity.ERROR
        process: str

    error = ProcessError("cooling")
    assert (error.name, error.severity, error.to_dict()) == (
        "process.error",
        Severity.ERROR,
        {"process": "cooling"},
    )
    with pytest.raises(FrozenInstanceError):
        error.process = "other"  # type: ignore[misc]


def test_survives_pickling() -> None:
    """A message can be sent to another process."""
    assert pickle.loads(pickle.dumps(Overheated("room"))) == Overheated("room")  # noqa: S301


def test_a_class_is_found_by_its_name() -> None:
    """The class of a message is found by its dotted name; a typo gets a suggestion."""
    assert find("worse.overheated") is WorseOverheated
    assert find("runtime.shutting_down") is message.RuntimeShuttingDown
    with pytest.raises(UnknownTargetError, match=r"did you mean 'device.attached'"):
        find("device.atached")


def test_two_classes_of_one_name_are_an_error() -> None:
    """Looking up a name that two classes have names both; dropped classes do not count."""

    def define() -> type[Message]:
        class Twin(Message):
            name = "my.own"

        return Twin

    twin = define()
    with pytest.raises(ConfigError, match=r"Renamed and .*define.<locals>.Twin"):
        find("my.own")
    del twin
    assert find("my.own") is Renamed


def test_a_class_that_is_defined_again_takes_the_place_of_the_first() -> None:
    """A reloaded module's message is found as the newest class."""

    def define() -> type[Message]:
        class Reloaded(Message):
            pass

        return Reloaded

    first, second = define(), define()
    assert first is not second
    assert find("reloaded") is second


def test_an_event_knows_when() -> None:
    """An event's time is timezone-aware, in UTC, and it shows its message."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    event = Event(7, int(moment.timestamp()) * 10**9, 1.5, "room", Overheated("room"), 6)
    assert event.time == moment
    assert (event.seq, event.cause, event.source, event.monotonic) == (7, 6, "room", 1.5)
    assert "Overheated" in repr(event)


@pytest.mark.parametrize("name", message.__all__)
def test_the_runtimes_own_messages(name: str) -> None:
    """Each of the runtime's own messages is one, with a dotted lower-case name of its own."""
    cls = getattr(message, name)
    assert issubclass(cls, Message)
    assert cls.name == cls.name.lower()
    assert "." in cls.name
    assert (cls.__doc__ or "").strip()
    assert isinstance(cls.severity, IntEnum)


def test_the_runtimes_own_names_are_unique_and_complete() -> None:
    """No two share a name, and none is missing in `__all__`."""
    classes = [
        value
        for value in vars(message).values()
        if isinstance(value, type) and issubclass(value, Message) and value is not Message
    ]
    assert sorted(cls.__name__ for cls in classes) == sorted(message.__all__)
    assert len({cls.name for cls in classes}) == len(classes)


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (message.RuntimeBooting, "runtime.booting"),
        (message.RuntimeBooted, "runtime.booted"),
        (message.RuntimeShuttingDown, "runtime.shutting_down"),
        (message.RuntimeShutdown, "runtime.shutdown"),
        (message.DeviceAttached, "device.attached"),
        (message.DeviceDetached, "device.detached"),
        (message.DeviceFailed, "device.failed"),
        (message.DeviceOnline, "device.online"),
        (message.DeviceOffline, "device.offline"),
        (message.ProcessStarted, "process.started"),
        (message.ProcessStopped, "process.stopped"),
        (message.ProcessError, "process.error"),
        (message.InterfaceStarted, "interface.started"),
        (message.InterfaceStopped, "interface.stopped"),
        (message.ServiceStarted, "service.started"),
        (message.ServiceStopped, "service.stopped"),
        (message.ServiceError, "service.error"),
        (message.ServiceRestart, "service.restart"),
        (message.ServiceFailure, "service.failure"),
        (message.SystemReload, "system.reload"),
        (message.SystemSignal, "system.signal"),
        (message.EventSubscriberError, "event.subscriber_error"),
    ],
)
def test_the_names_of_the_seed(cls: type[Message], name: str) -> None:
    """The lifecycle messages are called what the seed calls them."""
    assert cls.name == name
