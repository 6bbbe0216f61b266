"""What a process uses, and what it may use. Linux only: proc(5)."""

from __future__ import annotations

import os
import resource
from pathlib import Path

MOST_IN_A_PROCESS = 240
"""More threads than that keep one interpreter busy with changing between them."""
MEMORY_KB_PER_NODE = 450
THREADS_PER_NODE = 8

_TICKS = os.sysconf("SC_CLK_TCK")


def memory_kb(pid: int) -> int:
    """Return the resident memory of a process."""
    return _number(Path(f"/proc/{pid}/status"), "VmRSS:")


def cpu_s(pid: int) -> float:
    """Return how long a process has computed, in user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def let_open(files: int) -> None:
    """Let this process and those it starts open so many files. Raises SystemExit that says why it
    must not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        raise SystemExit(
            f"load: the broker needs {files} open files, and this user may have {hard}. Raise it "
            f"(ulimit -Hn {files}, or LimitNOFILE= of the unit), or take fewer --nodes"
        )
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def check(nodes: int, per_process: int) -> None:
    """Raise SystemExit if so many nodes do not fit on this machine."""
    if not 1 <= per_process <= MOST_IN_A_PROCESS:
        raise SystemExit(
            f"load: --per-process {per_process}: 1 to {MOST_IN_A_PROCESS} nodes fit into a process"
        )
    free_kb = _number(Path("/proc/meminfo"), "MemAvailable:")
    needed_kb = nodes * MEMORY_KB_PER_NODE
    if free_kb < needed_kb:
        raise SystemExit(
            f"load: {nodes} nodes need about {needed_kb // 1024} MB of memory, and "
            f"{free_kb // 1024} MB are free; take fewer --nodes"
        )
    threads = int(Path("/proc/sys/kernel/threads-max").read_text())
    _, of_user = resource.getrlimit(resource.RLIMIT_NPROC)
    allowed = threads if of_user == resource.RLIM_INFINITY or os.geteuid() == 0 else of_user
    if allowed < nodes * THREADS_PER_NODE:
        raise SystemExit(
            f"load: {nodes} nodes need {nodes * THREADS_PER_NODE} threads, and {allowed} are "
            "allowed (ulimit -u); take fewer --nodes"
        )
    let_open(nodes + 200)


def _number(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise SystemExit(f"load: {file} has no {name}; this measures on Linux only")
