"""The wall clock: is it synchronised, and by whom?"""

from __future__ import annotations

from collections.abc import Iterator

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine

_SERVICES = {
    "chronyd": ("chrony", "chronyc sources -v"),
    "systemd-timesyn": ("systemd-timesyncd", "timedatectl timesync-status"),
    "ntpd": ("ntpd", "ntpq -p"),
    "ntp-daemon": ("ntpd-rs", "ntp-ctl status"),
    "phc2sys": ("phc2sys", "journalctl -u phc2sys"),
}
"""Names and questions for the processes that keep the time, by what proc_pid_comm(5) shows of their
names: 15 characters."""
_FOLDERS = {"/run/systemd/timesync": "systemd-timesyn", "/run/chrony": "chronyd"}
"""What they leave while they run: a hint where other users' processes are hidden (proc(5),
hidepid)."""
_INSTALL = "sudo apt install systemd-timesyncd, and timedatectl set-ntp true"


def look_at_time(machine: Machine) -> Iterator[Finding]:
    """Find whether the kernel holds its clock for right, and who sets it."""
    name, question = _SERVICES.get(_running(machine), ("", ""))
    quality = machine.time_quality()
    if quality == "synchronised":
        by = f", by {name}" if name else "; by whom is not known"
        yield Finding(Level.OK, "time", f"synchronised{by}")
    elif quality == "unsynchronised" and name:
        yield Finding(
            Level.WARNING,
            "time",
            f"{name} runs, but the clock is not synchronised",
            f"it reaches no server, or has just begun: {question}",
        )
    elif quality == "unsynchronised":
        text = "the clock is not synchronised, and no service that does it runs"
        yield Finding(Level.WARNING, "time", text, _INSTALL)
    else:
        text = f"the kernel does not tell how good its clock is; {name or 'no time service'} runs"
        yield Finding(Level.OK, "time", text)


def keeper(machine: Machine) -> str:
    """Return the service that keeps the time, such as "chrony"; empty if none runs."""
    return _SERVICES.get(_running(machine), ("", ""))[0]


def _running(machine: Machine) -> str:
    """Return the process that keeps the time; empty if there is none."""
    names = {machine.read(each).strip() for each in machine.find("/proc/[0-9]*/comm")}
    found = sorted(names.intersection(_SERVICES))
    found += [each for folder, each in _FOLDERS.items() if machine.exists(folder)]
    return found[0] if found else ""
