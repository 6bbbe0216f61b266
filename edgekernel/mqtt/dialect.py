"""Dialects: what a node says on MQTT, in which topics and payloads, and what it listens to.

A dialect is found by the name of its entry point in the group `edgekernel.dialects`, so that a
package of its own can add one. What is common to all, the `Carrier`, is `edgekernel.mqtt.exchange`:
the link with its deliveries, what waits to be published, and when which method is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from edgekernel.core.context import Context
from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError, nearest
from edgekernel.core.messages import Event, Message
from edgekernel.core.turn import Turn
from edgekernel.mqtt.about import About
from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.outgoing import Outgoing
from edgekernel.mqtt.rights import Rights
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.transport import Inbound, Will

if TYPE_CHECKING:
    from edgekernel.mqtt.remote_config import RemoteConfig
    from edgekernel.node.outbox_table import OutboxPlace

GROUP = "edgekernel.dialects"

OF_DIALECTS = frozenset(
    {"history", "home_assistant", "layout", "outbox", "payloads", "remote_config", "signatures"}
)
"""The keys of `[mqtt]` that not every dialect does something with."""


class Carrier(Protocol):
    """What a dialect speaks through; every method is for any thread."""

    @property
    def ctx(self) -> Context:
        """The context of the interface: devices, clock, runtime."""
        ...

    @property
    def settings(self) -> Settings:
        """The settings of the link."""
        ...

    @property
    def node(self) -> str:
        """The node's name."""
        ...

    @property
    def about(self) -> About:
        """What a node tells of itself beside what its runtime knows."""
        ...

    @property
    def outbox(self) -> OutboxPlace | None:
        """Where a dialect may let wait what must outlive the agent; None without such a place."""
        ...

    @property
    def remote(self) -> RemoteConfig | None:
        """Who takes the configuration that the node is to have; None if nobody does."""
        ...

    @property
    def boot(self) -> str:
        """The id of this start of the agent."""
        ...

    @property
    def random(self) -> Random:
        """Chance; in a simulation the same in every run."""
        ...

    @property
    def outgoing(self) -> Outgoing:
        """What waits to be published: retained topics, and what there is of a moment."""
        ...

    @property
    def submit(self) -> Callable[[Turn], object]:
        """How the turn of a request is given away: in the thread that has read it, if that may be
        kept, or in the dispatcher's."""
        ...

    @property
    def client(self) -> MqttClient:
        """The link; not yet while the dialect is made."""
        ...

    def tell(self, told: Message) -> None:
        """Emit a message, later and in another thread: nothing here waits for its handlers."""
        ...

    def problem(self, text: str) -> None:
        """Tell of something that the broker or its clients cannot be told, or cannot do."""
        ...

    def status(self) -> dict[str, Any]:
        """Return what the link has done and what waits for it, with what the dialect says of it."""
        ...


class Dialect(Protocol):
    """A way to speak MQTT. Inherit from it: what a class does not say is nothing.

    It is made before there is a link, and given the settings that `read` has returned. `watch`,
    `event` and `refresh` are called in turns, `connected`, `opened`, `disconnected` and `message`
    in the network's thread, which they must not keep waiting.
    """

    will: Will
    """What the broker publishes when the node goes without a goodbye."""
    subscriptions: tuple[str, ...] = ()
    """The filters to subscribe to, at QoS 1, before the link counts as up."""
    as_published: tuple[str, ...] = ()
    """Those of them by which a message is flagged as retained if it was published so, as MQTT 5
    can do. By the others, and on 3.1.1, only what the broker had kept before is."""
    heeds: ClassVar[frozenset[str]] = frozenset()
    """Which of the settings that are `OF_DIALECTS` it does something with."""
    for_ctl: ClassVar[bool] = False
    """Whether it is the one that `edgekernel ctl` and `Fleet` speak."""

    def __init__(self, carrier: Carrier, own: Any) -> None:
        """Prepare. Raises ConfigError for a node that cannot be named in this dialect."""
        raise NotImplementedError

    @classmethod
    def read(cls, table: Mapping[str, object]) -> Any:
        """Return the dialect's own settings, from its table `[mqtt.<name>]` of a node file.

        Raises ConfigError with every mistake. Without a word of its own it has no settings.
        """
        if table:
            raise ConfigError(*(f"{key}: unknown key; there are none" for key in table))
        return None

    @classmethod
    def rights(cls, own: Any) -> Rights | None:
        """Return which topics its nodes and their clients need, with these settings of its own;
        None if it does not say. The access list of a site has its own for the dialect
        `edgekernel`."""
        return None

    @classmethod
    def check(
        cls,
        devices: Mapping[str, Device],
        commands: Iterable[tuple[str, str]],
        settings: Settings,
    ) -> tuple[list[str], list[str]]:
        """Return which names of devices and commands, the latter as component and name, are
        mistakes in this dialect, and of which to warn: for `edgekernel check`."""
        return [], []

    def watch(self) -> None:
        """Watch the devices, so that all is ready for the moment the link is up.

        Raises ConfigError for names that this dialect cannot say.
        """

    def begin(self) -> None:
        """The runtime has booted, and the link is about to be made."""

    def event(self, event: Event) -> None:
        """Follow what a message says, and publish it if this dialect does."""

    def renew(self, about: About) -> None:
        """Hear that what the node tells of itself has changed, with its configuration."""

    def connected(self, cause: str) -> None:
        """Retain what is to be on the broker, last what vouches for the rest.

        `cause` is "started" or "reconnected". The broker may have lost everything: all that was
        retained before is published again afterwards.
        """

    def opened(self) -> None:
        """What waited to be published is on its way."""

    def disconnected(self) -> None:
        """The link is down."""

    def message(self, message: Inbound) -> None:
        """Take a message from the broker, which may be one that was not subscribed to."""

    def end(self) -> None:
        """The node stops: end what goes on beside turns. It is still linked if it was."""

    def refresh(self) -> None:
        """Retain what has changed: it is the last time."""

    def goodbye(self, reason: str) -> None:
        """Let go what can go, and leave; the link is closed afterwards, as the node stops."""
        self.leave(reason)

    def leave(self, reason: str) -> None:
        """Retain that the node is gone from here, in good order: it may go to another broker."""

    def close(self) -> None:
        """Watch no more, and give back what is open."""

    def status(self) -> dict[str, Any]:
        """Return what an operator wants to know, ready for JSON."""
        return {}


def dialects() -> dict[str, EntryPoint]:
    """Return what is installed, by name. Raises ConfigError if two packages have the same name."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise ConfigError(
                f"the MQTT dialect {entry.name!r} is in two packages: {other.value} and "
                f"{entry.value}; uninstall one of them"
            )
    return found


def load_dialect(name: str) -> type[Dialect]:
    """Return a dialect by name. Raises ConfigError if there is none, or it cannot be loaded."""
    found = dialects()
    if name not in found:
        raise ConfigError(f'mqtt.dialect: "{name}" is not installed{nearest(name, list(found))}')
    where = f"the MQTT dialect {name!r} ({found[name].value}, entry point group {GROUP})"
    try:
        made = found[name].load()
    except Exception as error:
        text = f"{where}: cannot be imported: {type(error).__name__}: {error}"
        raise ConfigError(text) from error
    if not isinstance(made, type) or Dialect not in made.__mro__:
        raise ConfigError(
            f"{where}: is no class that inherits from edgekernel.mqtt.dialect.Dialect"
        )
    return made


def unheeded(dialect: type[Dialect], name: str, given: Iterable[str]) -> list[str]:
    """Return a sentence for each of the given keys of `[mqtt]` that a dialect does nothing with."""
    return [
        f"mqtt.{key}: has no effect: the dialect {name} does nothing with it"
        for key in sorted(OF_DIALECTS.intersection(given) - dialect.heeds)
    ]


def read_own(settings: Settings) -> tuple[type[Dialect], Any]:
    """Return the dialect of a link, with what it has read in its table. Raises ConfigError."""
    made = load_dialect(settings.dialect)
    if settings.signatures is not None and "signatures" not in made.heeds:
        raise ConfigError(
            f"mqtt.signatures: the dialect {settings.dialect} knows no signed requests, so that "
            "everybody could ask: take out one of the two"
        )
    try:
        return made, made.read(settings.dialect_table)
    except ConfigError as error:
        head = f"mqtt.{settings.dialect}."
        raise ConfigError(*(f"{head}{text}" for text in error.problems)) from None
