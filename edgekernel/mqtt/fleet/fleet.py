"""Fleet: the nodes on a broker, seen and controlled from Python."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from edgekernel.core.clock import Clock
from edgekernel.core.messages import Severity
from edgekernel.mqtt.fleet.busy import still_held
from edgekernel.mqtt.fleet.configuring import (
    PUSH_LIMIT_S,
    NodeConfig,
    NodeReport,
    push,
    read_config,
    read_report,
)
from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.device_states import STATES, DeviceStates
from edgekernel.mqtt.fleet.documents import (
    read_document,
    read_event,
    read_health,
    read_info,
    read_status,
)
from edgekernel.mqtt.fleet.errors import NoAnswerError
from edgekernel.mqtt.fleet.forecasting import ConfigForecast, forecast_config
from edgekernel.mqtt.fleet.forgetting import (
    DISCOVERY,
    Left,
    announced_by,
    checked_discovery,
    clear,
    left_of,
)
from edgekernel.mqtt.fleet.holding import HeldLease
from edgekernel.mqtt.fleet.listening import Arrival
from edgekernel.mqtt.fleet.many import each_of
from edgekernel.mqtt.fleet.node_schema import NodeSchema, meant, request_topic
from edgekernel.mqtt.fleet.results import (
    BusyState,
    DeviceState,
    Node,
    NodeEvent,
    NodeHealth,
    NodeInfo,
    NodeStatus,
    NodeUpdate,
    Outcome,
)
from edgekernel.mqtt.fleet.retained import Retained
from edgekernel.mqtt.fleet.sealing import (
    LEAST_BEAT_S,
    LEAST_TTL_S,
    Seal,
    is_signed,
    plain,
    signed,
)
from edgekernel.mqtt.fleet.selecting import select
from edgekernel.mqtt.fleet.sharing import checked_share
from edgekernel.mqtt.fleet.stream import Stream
from edgekernel.mqtt.fleet.updating import (
    UPDATE_LIMIT_S,
    IfBusy,
    check_takes_updates,
    install,
    read_update,
)
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.signing import Signer
from edgekernel.mqtt.topics import segment
from edgekernel.mqtt.transport import Medium

T = TypeVar("T")


class Fleet:
    """The nodes on one broker. Use it as a context manager, from any thread.

        with Fleet(Settings("broker.local")) as fleet:
            fleet.set("greenhouse-1", "heater/power", True)
            names = [node.name for node in fleet.nodes({"zone": "north"}) if node.online]
            for outcome in fleet.each(names, lambda name: fleet.call(name, "climate.reset")):
                print(outcome.node, outcome.ok, outcome.error)

    Nodes are named exactly. What is asked of a node is checked against the schema that it has
    published before it is sent; the node checks again. Methods raise NoAnswerError for a broker or
    node that does not answer, RequestRefusedError with a node's own reason, UnknownTargetError for
    a node that the broker does not know and for what its schema does not have, InvalidValueError
    for what that does not allow, ConfigError for a name that no node can have, and ForbiddenError
    for what the broker does not let us read, and for a node that wants requests signed by another
    key, or by any.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        timeout_s: float = 5.0,
        at_once: int = 16,
        signer: Signer | None = None,
        clock: Clock | None = None,
        medium: Medium | None = None,
    ) -> None:
        """Prepare; entering connects, and raises NoAnswerError that says why it cannot.

        Every question has `timeout_s` seconds to be answered. `each` has `at_once` nodes at work at
        a time. With a `signer` every request is signed, to nodes that read signatures. It goes over
        paho-mqtt on this machine's clock unless others are given.
        """
        self.at_once = at_once
        self._signer = signer
        self._connection = Connection(settings, timeout_s, clock, medium)
        self._retained = Retained(self._connection)
        self._anyone = replace(settings, client_id="")  # that is taken by the connection above
        self._connect = partial(Connection, timeout_s=timeout_s, clock=clock, medium=medium)
        self._shared: set[Connection] = set()

    def nodes(self, where: Mapping[str, str] | None = None) -> list[Node]:
        """Return the nodes that the broker knows, online or not, by name; those with these values.

        `where` names labels of the node file, fields of NodeInfo, `state` or `node`. Raises
        UnknownTargetError for a field that no node has.
        """
        found = self._retained.documents("+/status", "+/info")
        infos = {name: read_info(name, each) for name, kind, each in found if kind == "info"}
        nodes = [
            Node(read_status(name, each), infos.get(name))
            for name, kind, each in found
            if kind == "status"
        ]
        nodes.sort(key=lambda node: node.name)
        return select(nodes, where) if where else nodes

    def status(self, node: str) -> NodeStatus:
        """Return whether a node is there, since when and why."""
        self._retained.check_name(node)
        return self._retained.status(node)

    def info(self, node: str) -> NodeInfo:
        """Return what a node runs, and where; who holds it busy, and how its latest update went."""
        found, update = read_info(node, self._retained.document(node, "info")), self.updating(node)
        known = None if update.phase == "none" else update
        return replace(found, busy=self.busy(node), update=known)

    def schema(self, node: str) -> NodeSchema:
        """Return what a node has and can be asked for."""
        return NodeSchema(node, self._retained.document(node, "schema"))

    def health(self, node: str) -> NodeHealth:
        """Return how a node is, as it has said at most half a minute ago while it is online."""
        return read_health(node, self._retained.document(node, "health"))

    def get(self, node: str, device: str = "") -> dict[str, DeviceState]:
        """Return the states of a node's devices, or of one of them, by device.

        They are the latest that the node has published: of one that is offline they are old.
        """
        return self._retained.devices(node, device)

    def set(self, node: str, output: str, value: Any, *, check: bool = True) -> None:
        """Set an output, `device/output`, and wait until the node has done it.

        A `Text` becomes what the output takes. Without `check` it is sent as it is, to a node that
        may not be known.
        """
        topic = request_topic("set", output)
        schema, seal = self._prepare(node, check)
        if schema is not None:
            value = schema.output(output).check(value)
        self._ask(node, topic, {"value": meant(value)}, seal)

    def call(
        self,
        node: str,
        command: str,
        args: Mapping[str, Any] | None = None,
        *,
        check: bool = True,
        timeout_s: float | None = None,
    ) -> Any:
        """Call a command, `component.command`, and return its result.

        Among the arguments a `Text` becomes what the schema wants. Without `check` they are sent as
        they are, to a node that may not be known. `timeout_s` is for commands that take long.
        """
        topic, given = request_topic("call", command), dict(args or {})
        schema, seal = self._prepare(node, check)
        if schema is not None:
            given = schema.command(command).check(given)
        sent = {name: meant(each) for name, each in given.items()}
        return self._ask(node, topic, {"args": sent}, seal, timeout_s)

    def lease(
        self,
        node: str,
        name: str,
        *,
        holder: str = "",
        every_s: float | None = None,
        release: bool = True,
    ) -> HeldLease:
        """Return a lease of a node that is held for as long as its context lasts.

            with fleet.lease("greenhouse-1", "controller"):
                fleet.set("greenhouse-1", "heater/power", True)

        `holder` tells this controller from others, and is unique unless given. It is renewed every
        `every_s` seconds, a third of the lease's time unless given, and given up at the end;
        without `release` it ends by itself, within that time. Entering raises RequestRefusedError
        while another one holds it.
        """
        schema, boot = self._look(node, check=True)
        if schema is None:
            raise NoAnswerError(f"{node} has published no schema, so that its leases are not known")
        terms = schema.lease(name)
        least_s = max(terms.timeout_s, LEAST_BEAT_S)
        return HeldLease(
            self._connection,
            node,
            terms,
            holder or self._connection.name,
            every_s=every_s,
            release=release,
            boot=boot,
            seal_for=lambda boot: self._seal(node, schema, boot, least_s),
        )

    def config(self, node: str) -> NodeConfig:
        """Return what a node runs, asked of the node itself; its secrets are hidden."""
        return read_config(node, self.call(node, "config.show"))

    def forecast_config(
        self, node: str, config: Mapping[str, Any], file: Path = Path("node.toml")
    ) -> ConfigForecast:
        """Return what another configuration would do to what a node runs; nothing is changed.

        `config` is as for `push_config`, from a `file`: what it names is beside that. Raises
        ConfigError with every mistake.
        """
        return forecast_config(self.config(node), config, file)

    def reported(self, node: str) -> NodeReport:
        """Return what a node has reported of its configuration, online or not."""
        return read_report(node, self._retained.document(node, "reported"))

    def push_config(
        self,
        node: str,
        config: Mapping[str, Any],
        version: str = "",
        timeout_s: float = PUSH_LIMIT_S,
        *,
        now: bool = False,
    ) -> NodeReport:
        """Let a node run another configuration: the tables of a node file, without secrets.

        It checks and applies it, and goes back to the one before if it is not well with it: then
        RequestRefusedError says why, its code "rejected" or "rolled_back". `version` is what is
        reported, the time unless given. With a signer the document is signed. What a node does not
        take up in time waits on the broker. While the node is busy it waits too, unless `now`.
        """
        version = version or self._connection.clock.now_utc().isoformat(timespec="milliseconds")
        body = {"version": version, "config": config, **({"now": True} if now else {})}
        _, seal = self._prepare(node, check=False)
        return push(self._connection, self.reported(node), body, timeout_s, seal)

    def update(
        self,
        node: str,
        bundle: str,
        if_busy: IfBusy = "wait",
        wait_s: float = UPDATE_LIMIT_S,
        told: Callable[[NodeUpdate], object] = lambda update: None,
    ) -> NodeUpdate:
        """Let a node update its system: install a signed bundle, and start into it on trial.

        The bundle is an address (https) or a path on the node. Returns when it is confirmed; `told`
        is given each change until then. Raises RequestRefusedError when the node refuses it, and
        with the code "refused" (by RAUC), "not_installed", "fell_back" or "cancelled" for its end,
        ForbiddenError for a node that takes none, and NoAnswerError when it has not ended after
        `wait_s` seconds: it goes on.
        With `wait_s=0` it is only asked for. While the node is busy it waits, is refused
        (`if_busy="refuse"`), or goes on ("ignore").
        """
        check_takes_updates(node, self.schema(node))
        call = partial(self.call, node)
        return install(self._connection, node, call, bundle, if_busy, wait_s, told)

    def updating(self, node: str) -> NodeUpdate:
        """Return how the latest update of a node goes or has ended, "none" if there was none."""
        return read_update(node, self._retained.maybe(node, "update") or {})

    def restart(self, node: str, reason: str, if_busy: IfBusy = "wait") -> None:
        """Let a node's agent end, so that it is started again; while it is busy as in `update`."""
        check_takes_updates(node, self.schema(node), "a restart")
        self.call(node, "update.restart", {"reason": reason, "busy": if_busy})

    def busy(self, node: str) -> tuple[BusyState, ...]:
        """Return who holds a node busy; what has ended by now is left out."""
        now = self._connection.clock.now_utc()
        return still_held(self._retained.maybe(node, "busy") or {}, now)

    def hold_busy(self, node: str, reason: str, seconds: float, holder: str = "") -> str:
        """Hold a node busy for at most a week: what would interrupt it waits. Return the lock."""
        how = {"reason": reason, "seconds": seconds, "holder": holder}
        return str(self.call(node, "busy.hold", how))

    def release_busy(self, node: str, lock: str = "") -> list[str]:
        """Release a lock, or all that operators hold; return which."""
        return list(self.call(node, "busy.release", {"lock": lock}))

    def forget(
        self,
        node: str,
        *,
        force: bool = False,
        dry_run: bool = False,
        discovery: str = DISCOVERY,
    ) -> tuple[str, ...]:
        """Let the broker forget a node that is no more, or has another name: clear all that is
        retained below it, and what tells Home Assistant of it. Return the topics.

        `discovery` is the prefix of Home Assistant's topics; without one they are left alone. With
        `dry_run` nothing is cleared. Raises UnavailableError for a node that is online, unless by
        `force`. What we may not read is not found. If it fails, to ask again does the rest.
        """
        self._retained.check_name(node)
        left = left_of(self._connection, node, force=force)
        shown: Left = {}
        there: Connection | None = None
        with ExitStack() as stack:
            if discovery:
                there = self._connect(replace(self._anyone, prefix=checked_discovery(discovery)))
                there.open()
                stack.callback(there.close)
                shown = announced_by(there, node, self._connection.prefix)
            if not left and not shown:
                self._retained.status(node)  # raises: it is not known
            if there is not None and shown and not dry_run:
                clear(there, shown)
            if left and not dry_run:
                clear(self._connection, left)
        prefix = self._connection.prefix
        topics = [f"{prefix}/{each}" for each in left] + [f"{discovery}/{each}" for each in shown]
        return tuple(sorted(topics))

    def watch(self, *nodes: str) -> Stream[NodeStatus | DeviceState | NodeEvent]:
        """Return what there is and what happens, of some nodes or of all: statuses, states and
        events."""
        states = DeviceStates()
        read = partial(_read, states)
        return Stream(self._connection, self._filters(nodes, ("status", *STATES, "event/+")), read)

    def events(
        self,
        *nodes: str,
        name: str = "",
        least: Severity = Severity.DEBUG,
        share: str = "",
    ) -> Stream[NodeEvent]:
        """Return the events of some nodes or of all; those of a `name`, of `least` that severity.

        With `least=Severity.WARNING` it is what went wrong. Streams of the same `share`, in any
        process, get each event once together: a subscription that the broker shares among them, on
        a link of its own. Not every broker can do that (docs/scale.md). Raises InvalidValueError
        for a name that no share can have.
        """

        states = DeviceStates()

        def wanted(arrival: Arrival) -> NodeEvent | None:
            item = _read(states, arrival)
            if not isinstance(item, NodeEvent) or item.severity < least:
                return None
            return item if name in ("", item.name) else None

        topic = f"event/{segment(name)}" if name else "event/+"
        filters = self._filters(nodes, (topic,))
        if not share:
            return Stream(self._connection, filters, wanted)
        connection = self._connect(self._anyone, share=checked_share(share))
        connection.open()
        self._shared.add(connection)
        return Stream(connection, filters, wanted, partial(self._leave, connection))

    def each(
        self, nodes: Iterable[str], action: Callable[[str], T], at_once: int | None = None
    ) -> Generator[Outcome[T], None, None]:
        """Do something with each node, `at_once` at a time, and yield what has come of it.

        Outcomes come as they come, one for each node: its value, or the EdgekernelError that the
        action has raised for it. Any other error is raised. Who stops early waits for those that
        run; the others are not begun.
        """
        return each_of(self._connection.clock, nodes, action, at_once or self.at_once)

    def __enter__(self) -> Self:
        self._connection.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for connection in (*self._shared, self._connection):
            connection.close()

    def _leave(self, connection: Connection) -> None:
        self._shared.discard(connection)
        connection.close()

    def _filters(self, nodes: tuple[str, ...], topics: tuple[str, ...]) -> tuple[str, ...]:
        for node in nodes:
            self._retained.check_name(node)
        return tuple(f"{node}/{topic}" for node in nodes or ("+",) for topic in topics)

    def _prepare(self, node: str, check: bool) -> tuple[NodeSchema | None, Seal]:
        """Return by what a request is checked, if it is to be and can be, and how it is sealed."""
        self._retained.check_name(node)
        if not check and self._signer is None:
            return None, plain
        schema, boot = self._look(node, check)
        return (schema if check else None), self._seal(node, schema, boot)

    def _look(self, node: str, check: bool) -> tuple[NodeSchema | None, str]:
        """Return the schema of a node, None if it has published none, and the id of its start; to
        check it has to be online."""
        self._retained.check_name(node)
        documents = self._retained.documents(f"{node}/status", f"{node}/schema")
        found = {kind: document for _, kind, document in documents}
        status = read_status(node, found["status"]) if "status" in found else None
        if check:
            _check_online(status or self._retained.status(node))
        schema = NodeSchema(node, found["schema"]) if "schema" in found else None
        return schema, "" if status is None else status.boot

    def _seal(
        self, node: str, schema: NodeSchema | None, boot: str, least_s: float = LEAST_TTL_S
    ) -> Seal:
        if is_signed(node, schema, self._signer) and self._signer is not None:
            return signed(self._signer, self._connection.clock, boot, least_s)
        return plain

    def _ask(
        self,
        node: str,
        topic: str,
        body: dict[str, Any],
        seal: Seal,
        timeout_s: float | None = None,
    ) -> Any:
        limit_s = self._connection.timeout_s if timeout_s is None else timeout_s
        return self._connection.ask(node, topic, body, limit_s, seal)


def _read(states: DeviceStates, arrival: Arrival) -> NodeStatus | DeviceState | NodeEvent | None:
    node, _, rest = arrival.topic.partition("/")
    kind, _, name = rest.partition("/")
    if kind in ("state", "quality"):
        return states.take(arrival.topic, arrival.payload)
    document = read_document(arrival.payload)
    if document is None:
        return None
    if kind == "status":
        return read_status(node, document)
    return read_event(node, name, document)


def _check_online(status: NodeStatus) -> None:
    if not status.online:
        since = f" since {status.since:%Y-%m-%d %H:%M:%S} UTC" if status.since else ""
        cause = status.cause or "no reason given"
        raise NoAnswerError(f"{status.node} is offline{since}: {cause}")
