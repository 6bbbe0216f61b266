"""Who may read and write which topics: mosquitto's access list, made from the topic map.

A node's rules are patterns: `%u` is the name in its certificate, so one list serves every node and
none can write or read below another's name. That holds because the site signs no name but one of
a-z, 0-9 and "-": a "/" in it would reach into other topics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_args

from edgekernel.mqtt.rights import Rights

Role = Literal["viewer", "operator", "admin", "homeassistant"]
ROLES: tuple[Role, ...] = get_args(Role)

_PUBLISHED = (
    "status", "info", "schema", "state/#", "quality/#", "event/#", "data/#", "health", "reported",
    "busy", "update",
)  # fmt: skip
_OWN = ("desired", "state/#", "quality/#", "update")
"""What a node reads of its own: but for the first what an earlier run has left."""
_ASKED = ("set/#", "call/#", "lease/#")
_DISCOVERY = "homeassistant"


def access_list(prefix: str, users: Mapping[str, Role], others: Sequence[Rights] = ()) -> str:
    """Return the access list of a broker whose nodes are below `prefix`; `others` are the rights
    of the dialects that there are beside ours.

    A viewer reads what nodes publish. An operator also sets, calls, holds leases, and reads the
    replies. An admin also writes the configuration that a node is to have. Home Assistant is an
    operator that also has its discovery topics.
    """
    lines = ["# Nodes: each below its own name, and nowhere else."]
    lines += _patterns(prefix)
    for each in others:
        lines += _patterns_of(each)
    for user, role in sorted(users.items()):
        lines += ["", f"# {role}", f"user {user}", *_rules(prefix, role)]
        for each in others:
            lines += _rules_of(each, role)
    return "\n".join(lines) + "\n"


def _patterns(prefix: str) -> Iterator[str]:
    for topic in (*_PUBLISHED, "reply/#"):
        yield f"pattern write {prefix}/%u/{topic}"
    for topic in (*_ASKED, *_OWN):
        yield f"pattern read {prefix}/%u/{topic}"
    for topic in ("device/%u", "+/%u/+"):  # for the node, and for each entity
        yield f"pattern readwrite {_DISCOVERY}/{topic}/config"  # it finds there what it was before
    yield f"pattern read {_DISCOVERY}/status"


def _patterns_of(rights: Rights) -> Iterator[str]:
    for topic in rights.told:
        yield f"pattern write {topic.format(node='%u')}"
    for topic in (*rights.asked, *rights.kept, *rights.said):
        yield f"pattern read {topic.format(node='%u')}"


def _rules_of(rights: Rights, role: Role) -> Iterator[str]:
    for topic in rights.told:
        yield f"topic read {topic.format(node='+')}"
    if role != "viewer":
        for topic in (*rights.asked, *rights.said):
            yield f"topic write {topic.format(node='+')}"


def _rules(prefix: str, role: Role) -> Iterator[str]:
    for topic in _PUBLISHED:
        yield f"topic read {prefix}/+/{topic}"
    if role == "viewer":
        return
    for topic in _ASKED:
        yield f"topic write {prefix}/+/{topic}"
    yield f"topic read {prefix}/+/reply/#"
    if role == "admin":
        yield f"topic write {prefix}/+/desired"
    if role == "homeassistant":
        yield f"topic readwrite {_DISCOVERY}/#"
