"""The topic map: what a node publishes and listens to, all below `{prefix}/{node}/`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from edgekernel.core.errors import ConfigError, ForbiddenError
from edgekernel.mqtt.layout import TOGETHER, Form

_SEGMENT = re.compile(r"[a-z0-9-]{1,64}")
_PREFIX_DEPTH = 3
"""Segments of a prefix at most; with the longest topic below it the depth stays below 7."""


@lru_cache(maxsize=1024)
def segment(name: str) -> str:
    """Return a name as a topic segment: "button.pressed" is "button-pressed".

    Capitals become small, whatever is no letter or digit becomes "-". Raises ConfigError when
    nothing is left or more than 64 characters are.
    """
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not _SEGMENT.fullmatch(made):
        raise ConfigError(
            f"{name!r} does not fit into an MQTT topic: it needs 1 to 64 of the characters "
            "a-z, 0-9 and '-'"
        )
    return made


def prefix_problem(prefix: str) -> str:
    """Return what is wrong with a prefix; nothing if topics can begin with it."""
    parts = prefix.split("/")
    if len(parts) <= _PREFIX_DEPTH and all(map(_SEGMENT.fullmatch, parts)):
        return ""
    return (
        f"mqtt.prefix: {prefix!r} is not allowed; one to {_PREFIX_DEPTH} segments of a-z, 0-9 and "
        "'-' are, with '/' between them, such as 'edge' or 'plant/line-1'"
    )


@dataclass(frozen=True, slots=True)
class Target:
    """What an incoming request is for: an output of a device, a command of a component, or a lease,
    whose owner is "lease"."""

    kind: Literal["set", "call", "lease"]
    owner: str
    member: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.member}"


class Topics:
    """The topics of one node."""

    def __init__(self, prefix: str, node: str, form: Form = TOGETHER) -> None:
        """Build the map, with states in this form; raises ConfigError for a prefix or node that no
        topic can hold."""
        if problem := prefix_problem(prefix):
            raise ConfigError(problem)
        if not _SEGMENT.fullmatch(node):
            raise ConfigError(
                f"node name {node!r}: MQTT needs 1 to 64 of the characters a-z, 0-9 and '-'"
            )
        self.node = node
        self.form = form
        self.base = f"{prefix}/{node}"
        self.status = f"{self.base}/status"
        self.info = f"{self.base}/info"
        self.schema = f"{self.base}/schema"
        self.health = f"{self.base}/health"
        self.desired = f"{self.base}/desired"
        self.reported = f"{self.base}/reported"
        self.busy = f"{self.base}/busy"
        self.update = f"{self.base}/update"
        self.states = (
            f"{self.base}/state/+",
            f"{self.base}/state/+/+",
            f"{self.base}/quality/+/+",
        )
        """The filters of what there is of states, in every form."""
        self.requests = (
            f"{self.base}/set/+/+",
            f"{self.base}/call/+/+",
            f"{self.base}/lease/+",
        )
        """The filters to subscribe to."""
        self.events = f"{self.base}/event/+"
        """The filter of every message."""

    def state(self, device: str) -> str:
        """Return where the state of a device is retained, or whether it answers."""
        return f"{self.base}/state/{segment(device)}"

    def signal(self, device: str, name: str) -> str:
        """Return where a reading or output is retained: with its device, or by itself."""
        return (
            f"{self.state(device)}/{segment(name)}" if self.form.by_signal else self.state(device)
        )

    def quality(self, device: str, name: str) -> str:
        """Return where the quality of a signal is retained if its value is plain."""
        return f"{self.base}/quality/{segment(device)}/{segment(name)}"

    def event(self, message: str) -> str:
        """Return where messages of a name are published."""
        return f"{self.base}/event/{segment(message)}"

    def data(self, device: str) -> str:
        """Return where the history of a device is published."""
        return f"{self.base}/data/{segment(device)}"

    def lease(self, name: str) -> str:
        """Return where controllers hold the lease of a name."""
        return f"{self.base}/lease/{name}"

    def set(self, device: str, output: str) -> str:
        """Return where an output of a device is set."""
        return f"{self.base}/set/{segment(device)}/{segment(output)}"

    def call(self, component: str, command: str) -> str:
        """Return where a command of a component is called."""
        return f"{self.base}/call/{segment(component)}/{segment(command)}"

    def target(self, topic: str) -> Target | None:
        """Return what a request to this topic is for; None if the topic is no request to us.

        A broker may deliver what was not subscribed to, so this is checked, not assumed.
        """
        if not topic.startswith(f"{self.base}/"):
            return None
        match topic[len(self.base) + 1 :].split("/"):
            case ["set", owner, member]:
                return Target("set", owner, member)
            case ["call", owner, member]:
                return Target("call", owner, member)
            case ["lease", name]:
                return Target("lease", "lease", name)
        return None

    def check_reply(self, topic: str) -> str:
        """Return the topic if replies may go there; raise ForbiddenError if not.

        Otherwise whoever may send a request could make this node write anywhere it may write
        itself (a confused deputy).
        """
        below = f"{self.base}/reply/"
        if not (topic.startswith(below) and _SEGMENT.fullmatch(topic[len(below) :])):
            raise ForbiddenError(
                f"reply_to {topic[:200]!r} is refused: replies go to {below}<client>, where "
                "<client> is 1 to 64 of the characters a-z, 0-9 and '-'"
            )
        return topic
