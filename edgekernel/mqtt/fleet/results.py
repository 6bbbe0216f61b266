"""What a fleet answers: nodes, states, events, health, and what has come of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from edgekernel.core.errors import EdgekernelError
from edgekernel.core.messages import Severity
from edgekernel.node.update_state import UNDER_WAY

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Whether a node is there: `state` is online, degraded, safe or offline, since when and why.

    `since` is None where a node went without a goodbye: nobody knows its hour. `parts` are those
    that a degraded node goes on without, with why; of many the first few.
    """

    node: str
    state: str
    since: datetime | None = None
    cause: str = ""
    boot: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def online(self) -> bool:
        """Whether the node can be asked for something."""
        return self.state != "offline"


@dataclass(frozen=True, slots=True)
class BusyState:
    """A lock that says "not now": who holds it, why, and until when at the latest."""

    id: str
    holder: str
    reason: str
    until: datetime | None = None

    def __str__(self) -> str:
        until = f" (until {self.until:%Y-%m-%d %H:%M:%S} UTC)" if self.until else ""
        return f"{self.holder}: {self.reason}{until}"


@dataclass(frozen=True, slots=True)
class NodeUpdate:
    """How the latest update of a node goes, or has ended.

    `phase` is "none", "asked", "waiting", "installing", "installed", "rebooting", "trial",
    "confirmed", "fell_back", "failed", "refused" or "cancelled"; `percent` is that of the phase,
    `doing` what RAUC does, `unmet` what keeps the trial from its end, `slot` where the update is.
    """

    node: str
    phase: str = "none"
    id: str = ""
    percent: int = 0
    doing: str = ""
    reason: str = ""
    before: str = ""
    after: str = ""
    slot: str = ""
    unmet: tuple[str, ...] = ()
    bundle: str = ""
    at: datetime | None = None

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.phase in UNDER_WAY

    def __str__(self) -> str:
        how = self.phase.replace("_", " ")
        how += f" {self.percent} %" if self.phase in ("installing", "trial") else ""
        said = self.doing or self.reason or ("; ".join(self.unmet) if self.under_way else "")
        where = f" [slot {self.slot}]" if self.slot else ""
        return f"{how}{where}{f': {said}' if said else ''}"


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What a node runs, and where. `config` is the fingerprint of its node file, `boot` the id of
    this run, `labels` are those of the node file; `layout` and `payloads` say in which form it
    publishes its states. `busy` and `update` are there when a single node is asked for."""

    node: str
    version: str = ""
    board: str = ""
    host: str = ""
    config: str = ""
    boot: str = ""
    restart_cause: str = ""
    restart_detail: str = ""
    time_quality: str = ""
    layout: str = ""
    payloads: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    busy: tuple[BusyState, ...] = ()
    update: NodeUpdate | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A node that the broker knows; `info` is None if it has not published any."""

    status: NodeStatus
    info: NodeInfo | None = None

    @property
    def name(self) -> str:
        """The name of the node."""
        return self.status.node

    @property
    def online(self) -> bool:
        """Whether the node can be asked for something."""
        return self.status.online


@dataclass(frozen=True, slots=True)
class SignalState:
    """A reading, or an output with its `setpoint`; `quality` is good, uncertain or bad, and
    `reason` says why it is not good."""

    value: Any = None
    unit: str = ""
    quality: str = ""
    reason: str = ""
    time: datetime | None = None
    setpoint: Any = None


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a device measures and does; without signals it has been taken out of the node."""

    node: str
    device: str
    online: bool
    signals: Mapping[str, SignalState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """A message that a node has emitted; `boot` and `seq` together are its id."""

    node: str
    name: str
    severity: Severity
    time: datetime | None = None
    source: str = ""
    seq: int = 0
    boot: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkState:
    """The client's own link: while it is down, what is not retained is missed."""

    up: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """Whether a lease that this client wants is its own from now on; if not, why."""

    held: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """How a node is. `dropped` counts what was lost since its start, by what it was; `turn_wait_s`
    is how long a turn waited for its place, None if too long; it and the computer's figures are
    None where they are not measured, as in a simulation. The disk is that of the node's data
    folder, `flash_used_percent` the life time of the most worn eMMC; `cpu_throttled` and
    `under_voltage` are of the last seconds."""

    node: str
    state: str
    time: datetime | None = None
    uptime_s: float | None = None
    degraded: tuple[str, ...] = ()
    offline_devices: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    errors: int = 0
    queues: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    connections: int = 0
    turn_wait_s: float | None = None
    disk_free_bytes: int | None = None
    disk_free_percent: float | None = None
    disk_read_only: bool | None = None
    flash_used_percent: int | None = None
    memory_available_bytes: int | None = None
    memory_available_percent: float | None = None
    load_1min: float | None = None
    cpu_temperature_c: float | None = None
    cpu_throttled: bool | None = None
    under_voltage: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What has come of an action on one node: its `value`, or the `error` that kept it from it."""

    node: str
    value: T | None = None
    error: EdgekernelError | None = None

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.error is None

    @property
    def code(self) -> str:
        """Why it was not done, in one word; empty if it was."""
        return "" if self.error is None else str(getattr(self.error, "code", "failed"))
