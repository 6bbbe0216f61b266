"""A configuration from afar: what of it counts, and what is a node's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgekernel.core.errors import ConfigError
from edgekernel.core.masking import HIDDEN, sounds_secret
from edgekernel.node.difference import plain
from edgekernel.node.keys import changed_keys
from edgekernel.node.plan import Plan
from edgekernel.node.starting import read_document

REMOTE_MQTT = ("keepalive", "history", "outbox", "home_assistant")
"""What of `[mqtt]` may be changed from afar. All else says to whom the node speaks, as whom, and
whom it trusts: whoever could change that from afar could have its password sent to himself."""


def plan_from_afar(document: Mapping[str, Any], running: Plan, own: Plan | None) -> Plan:
    """Return the plan of a document that came from afar.

    What it leaves out of `[node]`, the table `[mqtt]`, and the keys of that which are the node's
    own are as the node has them; secrets too, and it may carry none. Raises ConfigError with every
    mistake.
    """
    problems = [*_wrong_tables(document), *_secrets(document)]
    if problems:
        raise ConfigError(*(f"desired: {each}" for each in problems))
    mine = plain(running.document)
    merged = _shown_left_out(document)
    merged["node"] = {**mine["node"], **merged.get("node", {})}
    if (link := mine.get("mqtt")) is not None:
        kept = {key: each for key, each in link.items() if key not in REMOTE_MQTT}
        merged["mqtt"] = {**kept, **merged["mqtt"]} if "mqtt" in merged else link
    try:
        plan = read_document(running.path, merged, own or running)
    except ConfigError as error:
        file = f"{running.path.name}: "
        texts = (each.removeprefix(file) for each in error.problems)
        raise ConfigError(*(f"desired: {each}" for each in texts)) from None
    if problems := list(_not_theirs(running, plan)):
        raise ConfigError(*(f"desired: {each}" for each in problems))
    return plan


def for_afar(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what of a node file may be sent to a node, and the secrets that were left out."""
    left_out: list[str] = []
    return _sendable(document, (), left_out), left_out


def _sendable(value: Any, path: tuple[str, ...], left_out: list[str]) -> Any:
    if isinstance(value, list):
        return [_sendable(each, path, left_out) for each in value]
    if not isinstance(value, Mapping):
        return value
    made: dict[str, Any] = {}
    for key, each in value.items():
        if _is_secret((*path, key), each):
            left_out.append(".".join((*path, key)))
        else:
            made[key] = _sendable(each, (*path, key), left_out)
    return made


def with_hidden(shown: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `config.show` has returned, with what is hidden in it as in another document."""
    made: dict[str, Any] = {}
    for key, value in shown.items():
        theirs = other.get(key)
        if isinstance(value, Mapping):
            made[key] = with_hidden(value, theirs if isinstance(theirs, Mapping) else {})
        elif value != HIDDEN:
            made[key] = value
        elif theirs is not None:
            made[key] = theirs
    return made


def _shown_left_out(value: Any) -> Any:
    """Leave out what `config show` has hidden: such a document may be sent back."""
    if isinstance(value, Mapping):
        return {key: _shown_left_out(each) for key, each in value.items() if each != HIDDEN}
    return [_shown_left_out(each) for each in value] if isinstance(value, list) else value


def _wrong_tables(document: Mapping[str, Any]) -> Iterator[str]:
    for name in ("node", "mqtt"):
        if not isinstance(document.get(name, {}), Mapping):
            yield f"{name}: a table is allowed"


def _secrets(document: Mapping[str, Any]) -> Iterator[str]:
    """Name the secrets in a document: whoever may read what is retained would have them."""
    for key in for_afar(document)[1]:
        yield f"{key}: a document from afar carries no secrets; left out, it is as the node has it"


def _is_secret(path: tuple[str, ...], value: Any) -> bool:
    """Say whether something is a secret itself, and not the name of a file with one."""
    if not sounds_secret(path[-1]) or not isinstance(value, str) or value == HIDDEN:
        return False
    return path[:2] != ("mqtt", "tls") and not path[-1].endswith("_file")


def _not_theirs(running: Plan, plan: Plan) -> Iterator[str]:
    for key in changed_keys(plain(running.document), plain(plan.document)):
        if key.path[0] == "mqtt" and (len(key.path) == 1 or key.path[1] not in REMOTE_MQTT):
            yield f"{key}: is the node's own, and is changed in its node file only"
