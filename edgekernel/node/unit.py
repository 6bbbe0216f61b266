"""The systemd unit of a node, and what has to be on the system beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)
from edgekernel.node.layers import CREDENTIALS
from edgekernel.node.plan import Plan
from edgekernel.node.planned import Address
from edgekernel.node.standby_link import VARIABLE

WATCHDOG_S = 30
"""After how many seconds without a sign of life systemd ends the agent and starts it again."""
RESTART_S = 5
STOP_LIMIT_S = 30
"""More than the shutdown of a runtime takes: 14 s, whatever hangs."""
MEMORY_PERCENT, STANDBY_MEMORY_PERCENT = 60, 20
"""At most, of what the computer has: the standby's is no agent's, and both leave some."""
LOG_LINES, STANDBY_LOG_LINES = 2000, 200
"""At most, in 30 s."""


@dataclass(frozen=True, slots=True)
class _Access:
    """What the agent needs for one kind of boundary."""

    group: str = ""
    devices: tuple[str, ...] = ()
    """Classes of character devices, as in /proc/devices."""
    modules: tuple[str, ...] = ()
    """To be loaded first: a class that is not there yet when the unit starts stays closed."""
    subsystem: str = ""
    """Of udev, for the rule that gives the device files to the group."""


_GPIO = _Access("gpio", ("char-gpiochip",), (), "gpio")
_I2C = _Access("i2c", ("char-i2c",), ("i2c-dev",), "i2c-dev")
_SPI = _Access("spi", ("char-spi",), ("spidev",), "spidev")
_SERIAL = {
    "ttyUSB": _Access("dialout", ("char-ttyUSB",), ("usbserial",)),
    "ttyACM": _Access("dialout", ("char-ttyACM",), ("cdc-acm",)),
    "ttyAMA": _Access("dialout", ("char-ttyAMA",)),
    "ttyS": _Access("dialout", ("char-ttyS",)),
}
_ANY_SERIAL = _Access("dialout", ("char-tty?*",), ("usbserial", "cdc-acm"))
"""Of a link such as /dev/serial0, or of a maker's own, such as ttyAML; "tty" are the consoles."""
_EVERY = (_GPIO, _I2C, _SPI, _ANY_SERIAL)


@dataclass(frozen=True, slots=True)
class Unit:
    """A node as a service: the texts of all files that it needs.

    `program` is the `edgekernel` command, `python` the interpreter that it runs on, and `node` the
    node file, all absolute; `name` is that of the service, without ".service", and `user` who it
    runs as. With `has_standby` a second service stands by to make the outputs safe. A node that
    takes a configuration from afar may use the devices of every class: nobody writes its unit anew.
    """

    plan: Plan
    program: Path
    python: Path
    node: Path
    name: str = "edgekernel"
    user: str = "edgekernel"
    has_standby: bool = True

    def __post_init__(self) -> None:
        """Raise ConfigError for files that the service would not see."""
        for path in self.reads:
            if path.is_relative_to("/tmp") or path.is_relative_to("/var/tmp"):
                raise ConfigError(
                    f"{path}: a service has a /tmp and a /var/tmp of its own; move it, for example "
                    "to /etc/edgekernel"
                )

    @property
    def reads(self) -> tuple[Path, ...]:
        """The files that its user must be able to read."""
        return (self.node, self.program, self.python)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that may use the devices of the node, sorted."""
        return tuple(sorted({each.group for each in self._accesses() if each.group}))

    @property
    def modules(self) -> tuple[str, ...]:
        """The kernel modules that its device files come from, sorted."""
        return tuple(sorted({name for each in self._accesses() for name in each.modules}))

    @property
    def service(self) -> str:
        """The text of the unit (systemd.service(5), systemd.exec(5))."""
        own = [*self._credentials(), *self._folders(), *self._devices()]
        after = _AFTER_STANDBY.format(standby=self.standby_name) if self.has_standby else ""
        return _SERVICE.format(
            **self._shared(own),
            after_standby=after,
            restart_s=RESTART_S,
            watchdog_s=WATCHDOG_S,
            stop_limit_s=STOP_LIMIT_S,
            bounds=_BOUNDS.format(memory=MEMORY_PERCENT, lines=LOG_LINES),
        )

    @property
    def standby_name(self) -> str:
        """The name of the unit of its standby, without ".service"."""
        return standby_of(self.name)

    @property
    def standby_service(self) -> str:
        """The text of the unit of its standby, which may do no more than the agent; it needs no
        secret and writes nothing."""
        bounds = _BOUNDS.format(memory=STANDBY_MEMORY_PERCENT, lines=STANDBY_LOG_LINES)
        return _STANDBY.format(
            **self._shared(self._devices()), standby=self.standby_name, bounds=bounds
        )

    @property
    def users(self) -> str:
        """The text for sysusers.d(5): the user, and the groups that are not there."""
        groups = "".join(f"g {name} -\n" for name in self.groups)
        members = "".join(f"m {self.user} {name}\n" for name in self.groups)
        return f'{groups}u {self.user} - "edgekernel agent" /var/lib/{self.name}\n{members}'

    @property
    def modules_load(self) -> str:
        """The text for modules-load.d(5)."""
        return "".join(f"{name}\n" for name in self.modules)

    @property
    def rules(self) -> str:
        """The text for udev(7): the device files belong to the groups."""
        found = {each.subsystem: each.group for each in self._accesses() if each.subsystem}
        return "".join(
            f'SUBSYSTEM=="{subsystem}", GROUP="{group}", MODE="0660"\n'
            for subsystem, group in sorted(found.items())
        )

    @property
    def writes(self) -> tuple[Path, ...]:
        """The folders outside of its own that the node file lets it write."""
        own = Path("/var/lib") / self.name
        found = [self.plan.data]
        if (journal := self.plan.document.journal) is not None:
            found.append(self.plan.folder / journal.folder)
        absolute = {folder.resolve() for folder in found if folder is not None}
        return tuple(sorted(each for each in absolute if not each.is_relative_to(own)))

    @property
    def _home(self) -> str:
        paths = (*self.reads, *self.writes)
        return "read-only" if any(_is_in_a_home(path) for path in paths) else "yes"

    @property
    def _has_pwm(self) -> bool:
        found = (isinstance(each, PwmAddress) and each.controller for each in self._addresses())
        return takes_devices(self.plan) or any(found)

    def _shared(self, own: Iterable[str]) -> dict[str, str]:
        """Return what the units of the agent and of its standby have in common, each with lines of
        its own."""
        tunables = "no" if self._has_pwm else "yes"
        socket = f" {VARIABLE}=/run/{self.standby_name}/socket" if self.has_standby else ""
        return {
            "node_name": self.plan.name,
            "name": self.name,
            "user": self.user,
            "program": _quoted(self.program),
            "node": _quoted(self.node),
            "groups": " ".join(self.groups),
            "variable": socket,
            "sandbox": _SANDBOX.format(home=self._home, tunables=tunables),
            "own": "".join(f"{line}\n" for line in own),
        }

    def _credentials(self) -> Iterator[str]:
        for name, file in self._secrets():
            yield f"LoadCredential={name}:{file}"

    def _folders(self) -> Iterator[str]:
        for path in self.writes:
            yield f"ReadWritePaths=-{path}"

    def _devices(self) -> Iterator[str]:
        for device in sorted({name for each in self._accesses() for name in each.devices}):
            yield f"DeviceAllow={device} rw"

    def _secrets(self) -> Iterator[tuple[str, Path]]:
        """Yield the files that root reads for the agent, whose user need not be able to."""
        document = self.plan.document.model_dump()
        for name, keys in CREDENTIALS.items():
            found: Any = document
            for key in keys:
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, str):
                yield name, self.plan.folder.resolve() / found

    def _addresses(self) -> Iterator[Address]:
        for device in self.plan.devices:
            yield from device.addresses.values()

    def _accesses(self) -> Iterable[_Access]:
        if takes_devices(self.plan):
            return _EVERY
        return [access for each in self._addresses() if (access := _access(each)) is not None]


def standby_of(name: str) -> str:
    """Return the name of the unit that stands by for a service."""
    return f"{name}-standby"


def takes_devices(plan: Plan) -> bool:
    """Say whether a node may get devices that its file does not say: by a configuration from afar,
    which no installation goes before."""
    table = plan.document.mqtt
    return table is not None and table.remote_config


def _access(address: Address) -> _Access | None:
    match address:
        case LineAddress() | PwmAddress():
            return _GPIO
        case BusAddress():
            return _I2C
        case SpiAddress():
            return _SPI
        case PortAddress():
            name = address.device.rpartition("/")[2].rstrip("0123456789")
            return _SERIAL.get(name, _ANY_SERIAL)
        case OneWireAddress() | _:
            return None  # files of /sys, which all may read; or a line of another device


def _is_in_a_home(path: Path) -> bool:
    return path.parts[1:2] in (("home",), ("root",))


def _quoted(path: Path) -> str:
    """Return a path for a command line of a unit (systemd.service(5), "Command lines")."""
    text = str(path).replace("%", "%%").replace("$", "$$")
    if any(each in text for each in " \"'\\;"):
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


_BOUNDS = """\
# Bounded, so that a mistake in an application or a driver leaves the board reachable.
MemoryMax={memory}%
TasksMax=512
LimitNOFILE=4096
LimitCORE=0
OOMPolicy=stop
LogRateLimitIntervalSec=30s
LogRateLimitBurst={lines}
"""

_SANDBOX = """\
# It can reach its devices, its broker and its own folders, and nothing else.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
PrivateMounts=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables={tunables}
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
DevicePolicy=closed
"""

_SERVICE = """\
# Written by `edgekernel install`; what is changed here is lost when that runs again. Put your own
# settings into a drop-in: systemctl edit {name}

[Unit]
Description=edgekernel node {node_name}
# The device classes below are looked up once, when the service starts.
After=systemd-modules-load.service
Wants=systemd-modules-load.service
{after_standby}# It is started again for ever: nobody is near.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} run {node}
ExecReload=/bin/kill -HUP $MAINPID
# After every end, also of an agent that was killed: all outputs to their safe values.
ExecStopPost={program} safe-state {node}
Restart=always
RestartSec={restart_s}
# Fed only while every critical service makes progress.
WatchdogSec={watchdog_s}
TimeoutStartSec=120
TimeoutStopSec={stop_limit_s}
TimeoutAbortSec=5
KillMode=mixed

User={user}
Group={user}
SupplementaryGroups={groups}
StateDirectory={name}
StateDirectoryMode=0750
RuntimeDirectory={name}
WorkingDirectory=/var/lib/{name}
# lgpio makes a pipe in the folder that this names.
Environment=LG_WD=/run/{name} PYTHONUNBUFFERED=1{variable}
UMask=0027

{bounds}
{sandbox}{own}
[Install]
WantedBy=multi-user.target
"""

_AFTER_STANDBY = """\
# It is stopped before its standby is, and started beside it.
After={standby}.service
Wants={standby}.service
"""

_STANDBY = """\
# Written by `edgekernel install`; what is changed here is lost when that runs again. Put your own
# settings into a drop-in: systemctl edit {standby}

[Unit]
Description=edgekernel node {node_name}: makes its outputs safe when its agent is killed
After=systemd-modules-load.service
Wants=systemd-modules-load.service
PartOf={name}.service
StartLimitIntervalSec=0

[Service]
Type=exec
# It ends with its agent, whose next start starts another one.
ExecStart={program} standby {node}
Restart=on-failure
RestartSec=1
# In a cgroup of its own: what ends all processes of the agent leaves it alone, and its memory is
# not the agent's.
OOMScoreAdjust=-900

User={user}
Group={user}
SupplementaryGroups={groups}
StateDirectory={name}
StateDirectoryMode=0750
RuntimeDirectory={standby}
WorkingDirectory=/var/lib/{name}
Environment=LG_WD=/run/{standby} PYTHONUNBUFFERED=1{variable}
UMask=0077

{bounds}
{sandbox}{own}"""
