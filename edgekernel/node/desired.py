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
    problems = [*_wrong_tables(document), *_secrets(document, ())]
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


def _shown_left_out(value: Any) -> Any:
    """Leave out what `config show` has hidden: such a document may be sent back."""
    if isinstance(value, Mapping):
        return {key: _shown_left_out(each) for key, each in value.items() if each != HIDDEN}
    return [_shown_left_out(each) for each in value] if isinstance(value, list) else value


def _wrong_tables(document: Mapping[str, Any]) -> Iterator[str]:
    for name in ("node", "mqtt"):
        if not isinstance(document.get(name, {}), Mapping):
            yield f"{name}: a table is allowed"


def _secrets(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Name the secrets in a document: whoever may read what is retained would have them."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if sounds_secret(str(key)) and isinstance(each, str) and _is_content((*path, key)):
                if each != HIDDEN:
                    yield (
                        f"{'.'.join((*path, key))}: a document from afar carries no secrets; leave "
                        "it out: it is as the node has it"
                    )
            else:
                yield from _secrets(each, (*path, str(key)))
    elif isinstance(value, list):
        for each in value:
            yield from _secrets(each, path)


def _is_content(path: tuple[str, ...]) -> bool:
    """Say whether it is a secret itself, and not the name of a file with one."""
    return path[:2] != ("mqtt", "tls") and not path[-1].endswith("_file")


def _not_theirs(running: Plan, plan: Plan) -> Iterator[str]:
    for key in changed_keys(plain(running.document), plain(plan.document)):
        if key.path[0] == "mqtt" and (len(key.path) == 1 or key.path[1] not in REMOTE_MQTT):
            yield f"{key}: is the node's own, and is changed in its node file only"
