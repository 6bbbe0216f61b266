"""The installation of a node as a service: what is written and run, in which order."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgekernel.core.errors import EdgekernelError
from edgekernel.node.unit import Unit, standby_of

SYSTEMD = Path("/run/systemd/system")
"""Is there where systemd runs the computer: sd_booted(3)."""
_TIME_LIMIT_S = 180


class InstallError(EdgekernelError):
    """A step of an installation has failed; those before it stand, and may be repeated."""


class Step(Protocol):
    """One step; taking it twice does no harm."""

    def __str__(self) -> str:
        """Say what it does."""
        ...

    def take(self) -> str:
        """Do it; return "" or why there was nothing to do. Raises InstallError."""
        ...


@dataclass(frozen=True, slots=True)
class WriteFile:
    """A file with this text, all or nothing."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"write {self.path}"

    def take(self) -> str:
        """Write it, unless it is there already with this text."""
        new = self.path.with_name(f"{self.path.name}.new")
        try:
            if self.path.exists() and self.path.read_text(encoding="utf-8") == self.text:
                return "as it is"
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(self.text, encoding="utf-8")
            new.chmod(0o644)
            new.replace(self.path)
        except OSError as error:
            raise InstallError(f"{self.path}: cannot be written: {error}") from error
        return ""


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """No file of this name."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path}"

    def take(self) -> str:
        """Remove it."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return "not there"
        except OSError as error:
            raise InstallError(f"{self.path}: cannot be removed: {error}") from error
        return ""


@dataclass(frozen=True, slots=True)
class RunCommand:
    """A program that is run; `why` says what for. A `soft` one may fail."""

    command: tuple[str, ...]
    why: str
    soft: bool = False

    def __str__(self) -> str:
        return f"run {' '.join(self.command)}  ({self.why})"

    def take(self) -> str:
        """Run it to its end."""
        try:
            done = subprocess.run(
                self.command, capture_output=True, text=True, check=False, timeout=_TIME_LIMIT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return self._failed(str(error))
        if done.returncode == 0:
            return ""
        return self._failed((done.stderr or done.stdout).strip() or f"exit code {done.returncode}")

    def _failed(self, said: str) -> str:
        if self.soft:
            return f"did not work: {said}"
        raise InstallError(f"{' '.join(self.command)}: {said}")


def to_install(unit: Unit, *, start: bool = True) -> Iterator[Step]:
    """Return the steps that make a node a service which starts with the computer.

    Without `start` it does not start before that.
    """
    names = _Names(unit.name)
    yield WriteFile(names.users, unit.users)
    yield RunCommand(("systemd-sysusers", str(names.users)), "user and groups")
    if unit.modules:
        yield WriteFile(names.modules, unit.modules_load)
        for module in unit.modules:
            yield RunCommand(("modprobe", module), "device files", soft=True)
    if unit.rules:
        yield WriteFile(names.rules, unit.rules)
        yield RunCommand(("udevadm", "control", "--reload"), "groups of device files", soft=True)
        yield RunCommand(("udevadm", "trigger"), "groups of device files", soft=True)
    yield WriteFile(names.service, unit.service)
    if unit.has_standby:
        yield WriteFile(names.standby, unit.standby_service)
    else:
        yield RunCommand(("systemctl", "stop", names.standby.name), "no standby", soft=True)
        yield RemoveFile(names.standby)
    yield RunCommand(("systemctl", "daemon-reload"), "read the unit")
    yield RunCommand(("systemctl", "enable", f"{unit.name}.service"), "start with the computer")
    if start:
        yield RunCommand(("systemctl", "restart", f"{unit.name}.service"), "start now, and anew")


def to_remove(name: str) -> Iterator[Step]:
    """Return the steps that take a service away. Its user and what it has kept stay."""
    names = _Names(name)
    yield RunCommand(("systemctl", "disable", "--now", f"{name}.service"), "stop it", soft=True)
    yield RunCommand(("systemctl", "stop", names.standby.name), "and its standby", soft=True)
    for path in (names.service, names.standby, names.rules, names.modules, names.users):
        yield RemoveFile(path)
    yield RunCommand(("systemctl", "daemon-reload"), "forget the unit")


def can_install() -> str:
    """Return why this user cannot install on this computer, or ""."""
    if not SYSTEMD.is_dir():
        return (
            "this computer is not run by systemd; copy the unit from the dry run into your own "
            "service manager: what counts is that safe-state is run after every end"
        )
    if os.geteuid() != 0:
        return "installing needs root: sudo edgekernel install ... --apply"
    return ""


def unreadable(unit: Unit) -> list[str]:
    """Say what of the files that the service needs is not for everybody to read."""
    found = []
    for path in unit.reads:
        for each in (*reversed(path.parents), path):
            wanted = stat.S_IROTH | stat.S_IXOTH if each.is_dir() else stat.S_IROTH
            if each.stat().st_mode & wanted != wanted:
                found.append(
                    f"{path}: the user {unit.user} may not read {each}; move it, for example to "
                    f"/opt or /etc/edgekernel, or allow it: chmod o+rX {each}"
                )
                break
    return found


class _Names:
    """Where the files of a service are."""

    def __init__(self, name: str) -> None:
        self.service = Path(f"/etc/systemd/system/{name}.service")
        self.standby = Path(f"/etc/systemd/system/{standby_of(name)}.service")
        self.users = Path(f"/etc/sysusers.d/{name}.conf")
        self.modules = Path(f"/etc/modules-load.d/{name}.conf")
        self.rules = Path(f"/etc/udev/rules.d/60-{name}.rules")
