"""A configuration from afar: what of it counts, and what is a node's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from edgekernel.core.errors import ConfigError
from edgekernel.core.masking import HIDDEN
from edgekernel.node.difference import plain
from edgekernel.node.keys import changed_keys
from edgekernel.node.plan import Plan
from edgekernel.node.secrets import without_secrets
from edgekernel.node.starting import REMOTE_MQTT, read_document, with_own


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
    merged = with_own(with_hidden(document, mine), mine)
    try:
        plan = read_document(running.path, merged, own or running)
    except ConfigError as error:
        file = f"{running.path.name}: "
        texts = (each.removeprefix(file) for each in error.problems)
        raise ConfigError(*(f"desired: {each}" for each in texts)) from None
    if problems := list(_not_theirs(running, plan)):
        raise ConfigError(*(f"desired: {each}" for each in problems))
    return plan


def with_hidden(shown: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `config.show` has returned, with what is hidden in it as in another document."""
    made: dict[str, Any] = {}
    for key, value in shown.items():
        theirs = other.get(key)
        if isinstance(value, Mapping):
            made[key] = with_hidden(value, theirs if isinstance(theirs, Mapping) else {})
        elif isinstance(value, list) and isinstance(theirs, list):
            made[key] = [
                with_hidden(one, other_one)
                if isinstance(one, Mapping) and isinstance(other_one, Mapping)
                else one
                for one, other_one in zip_longest(value, theirs[: len(value)])
            ]
        elif value != HIDDEN:
            made[key] = value
        elif theirs is not None:
            made[key] = theirs
    return made


def _wrong_tables(document: Mapping[str, Any]) -> Iterator[str]:
    for name in ("node", "mqtt"):
        if not isinstance(document.get(name, {}), Mapping):
            yield f"{name}: a table is allowed"


def _secrets(document: Mapping[str, Any]) -> Iterator[str]:
    """Name the secrets in a document: whoever may read what is retained would have them."""
    for key in without_secrets(document)[1]:
        yield f"{key}: a document from afar carries no secrets; left out, it is as the node has it"


def _not_theirs(running: Plan, plan: Plan) -> Iterator[str]:
    for key in changed_keys(plain(running.document), plain(plan.document)):
        if key.path[0] == "mqtt" and (len(key.path) == 1 or key.path[1] not in REMOTE_MQTT):
            yield f"{key}: is the node's own, and is changed in its node file only"
