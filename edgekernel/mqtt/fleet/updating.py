"""Updates of nodes' systems, asked for and watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from edgekernel.core.errors import ForbiddenError
from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.documents import Document, read_document, read_text, read_time
from edgekernel.mqtt.fleet.errors import NoAnswerError, RequestRefusedError
from edgekernel.mqtt.fleet.listening import Arrival, Listener
from edgekernel.mqtt.fleet.node_schema import NodeSchema
from edgekernel.mqtt.fleet.results import NodeUpdate
from edgekernel.node.update_state import ENDS

UPDATE_LIMIT_S = 3600.0
"""How long an update is waited for: to write it, to start twice, and the trial."""

Call = Callable[[str, Mapping[str, Any]], Any]
"""Calls a command of a node with arguments, and returns its result."""

IfBusy = Literal["wait", "refuse", "ignore"]
"""What a node does while somebody says "not now"."""

INSTALL = "update.install"
_CODES = {"failed": "not_installed"}
_COMPONENT, _NAME = INSTALL.split(".")


def read_update(node: str, document: Document) -> NodeUpdate:
    """Read what is retained on `update`."""
    percent, unmet = document.get("percent"), document.get("unmet")
    return NodeUpdate(
        node,
        read_text(document, "phase") or "none",
        id=read_text(document, "id"),
        percent=percent if type(percent) is int else 0,
        doing=read_text(document, "doing"),
        reason=read_text(document, "reason"),
        before=read_text(document, "before"),
        after=read_text(document, "after"),
        slot=read_text(document, "slot"),
        unmet=tuple(map(str, unmet)) if isinstance(unmet, list) else (),
        bundle=read_text(document, "bundle"),
        at=read_time(document.get("at")),
    )


def check_takes_updates(node: str, schema: NodeSchema, what: str = "an update") -> None:
    """Raise ForbiddenError for a node that takes no updates, or restarts, from afar."""
    commands = schema.document.get("commands")
    own = commands.get(_COMPONENT) if isinstance(commands, dict) else None
    if not isinstance(own, dict) or _NAME not in own:
        raise ForbiddenError(
            f"{node} does not take {what} from afar: its node file has to say remote = true in "
            "[update], and then it has to be started anew"
        )


def install(
    connection: Connection,
    node: str,
    call: Call,
    bundle: str,
    if_busy: IfBusy,
    limit_s: float,
    told: Callable[[NodeUpdate], object],
) -> NodeUpdate:
    """Let a node install a bundle, and return the update when it is confirmed, or as it was asked
    for without a limit of time. Raises what `call` raises, and as `Fleet.update` says."""

    def ask() -> str:
        answer = call(INSTALL, {"bundle": bundle, "busy": if_busy})
        if not isinstance(answer, dict) or "id" not in answer:
            raise NoAnswerError(f"{node} has answered with no id of an update: {answer!r}")
        return str(answer["id"])

    if not limit_s:
        return NodeUpdate(node, "asked", ask(), bundle=bundle)
    return _follow(connection, node, ask, limit_s, told)


def _follow(
    connection: Connection,
    node: str,
    ask: Callable[[], str],
    limit_s: float,
    told: Callable[[NodeUpdate], object],
) -> NodeUpdate:
    """Let a node be asked for an update, and return it when it is confirmed.

    `ask` returns its id, and `told` is given every change. Raises RequestRefusedError, its code
    "refused", "not_installed", "fell_back" or "cancelled", with the reason, and NoAnswerError after
    `limit_s`.
    """
    with connection.listening(f"{node}/update") as listener:
        id = ask()
        latest = NodeUpdate(node, "asked", id)
        for found in _changes(connection, listener, node, limit_s):
            if found.id != id or found == latest:
                continue
            latest = found
            told(found)
            if found.phase == "confirmed":
                return found
            if found.phase in ENDS:
                raise RequestRefusedError(_CODES.get(found.phase, found.phase), _why(found))
    raise NoAnswerError(
        f"the update of {node} has not ended within {limit_s:g} s: it is {latest}; it goes on, and "
        f"`edgekernel ctl info {node}` shows how"
    )


def _changes(
    connection: Connection, listener: Listener, node: str, limit_s: float
) -> Iterator[NodeUpdate]:
    end_s = connection.clock.monotonic() + limit_s
    while (left_s := end_s - connection.clock.monotonic()) > 0:
        arrival = listener.get(left_s)
        document = read_document(arrival.payload) if isinstance(arrival, Arrival) else None
        if document is not None:
            yield read_update(node, document)


def _why(found: NodeUpdate) -> str:
    why = found.reason or "; ".join(found.unmet) or "no reason given"
    if found.phase == "fell_back":
        went = f"the update in slot {found.slot} was given up, and the slot before it runs again"
        return f"{went}: {why}"
    return why
