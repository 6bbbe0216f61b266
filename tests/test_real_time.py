"""Everything that waits or asks for the time does so by a Clock (promise P10)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import gpiozero

ROOT = Path(__file__).parent.parent
FOLDERS = ("edgekernel", "devices", "boards", "examples")

REAL: dict[str, set[str]] = {
    "asyncio": {"Runner", "SelectorEventLoop", "get_event_loop", "new_event_loop", "run"},
    "concurrent.futures": {"ProcessPoolExecutor", "ThreadPoolExecutor", "wait"},
    "datetime.date": {"today"},
    "datetime.datetime": {"now", "today", "utcnow"},
    "multiprocessing": {"*"},
    "queue": {"LifoQueue", "PriorityQueue", "Queue", "SimpleQueue"},
    "sched": {"*"},
    "select": {"*"},
    "selectors": {"*"},
    "signal": {"alarm", "pause", "setitimer", "sigtimedwait", "sigwait"},
    "socket": {"*"},
    "subprocess": {"*"},
    "threading": {
        "Barrier", "BoundedSemaphore", "Condition", "Event", "Semaphore", "Thread", "Timer",
    },
    "time": {
        "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep", "time", "time_ns",
    },
}  # fmt: skip
"""What waits in real time, or tells it, by module or class; "*" is all of it. A plain lock is not
among it: it is held for moments only, never while somebody waits or user code runs."""

ALLOWED = {
    "devices/edgekernel_devices/_circuitpython.py": "what a driver knows as `time`",
    "edgekernel/cli/ctl/leasing.py": "says which computer holds a lease",
    "edgekernel/cli/image.py": "runs the programs of a service manager, and names the computer",
    "edgekernel/cli/journal.py": "follows a file that another process writes",
    "edgekernel/cli/simulate.py": "tells how much real time a simulation took",
    "edgekernel/cli/standby.py": "waits for an agent, outside of it",
    "edgekernel/core/clock.py": "is the system's clock",
    "edgekernel/core/clockloop.py": "puts asyncio on a clock",
    "edgekernel/core/graph.py": "waits, for moments, for a thread that changes the graph",
    "edgekernel/core/reading.py": "a default for a reading without a device",
    "edgekernel/core/signals.py": "goes on in a thread what has interrupted a change",
    "edgekernel/journal/segment_sink.py": "a default for who only reads",
    "edgekernel/mqtt/amqtt_broker.py": "is a process of its own",
    "edgekernel/mqtt/broker.py": "starts and ends a broker, which is a process",
    "edgekernel/mqtt/link_problems.py": "tells of a real network's errors",
    "edgekernel/mqtt/paho_client.py": "talks to a real network",
    "edgekernel/mqtt/paho_loop.py": "talks to a real network",
    "edgekernel/mqtt/paho_transport.py": "talks to a real network",
    "edgekernel/mqtt/site/authority.py": "dates certificates, on whoever's computer signs them",
    "edgekernel/mqtt/site/dialect.py": "asks a broker for its version",
    "edgekernel/mqtt/wire.py": "is a real socket",
    "edgekernel/node/installation.py": "runs the programs of a service manager",
    "edgekernel/node/machine.py": "reads the time of the computer that is examined",
    "edgekernel/node/rauc.py": "runs a program that installs, in a process of its own",
    "edgekernel/node/service_manager.py": "talks to the service manager, and never waits for it",
    "edgekernel/node/standby.py": "waits for the end of another process",
    "edgekernel/node/standby_link.py": "talks to another process",
    "edgekernel/node/update_state.py": "dates what happens outside of the agent",
    "edgekernel/platform/__main__.py": "runs the programs of a computer that starts",
    "edgekernel/sim/clock.py": "paces simulated time by the real one",
    "edgekernel/sim/stall.py": "finds what waits in real time",
    "edgekernel/testing/leaks.py": "looks for real threads",
}  # fmt: skip
"""The files that may, and why."""


def real_time_in(source: str) -> set[str]:
    """Return what code uses of `REAL`, by whatever name it has imported it."""
    tree = ast.parse(source)
    names = dict(_imports(tree))
    used = {_dotted(node, names) for node in ast.walk(tree)} | set(names.values())
    return {each for each in used if each is not None and _is_real(each)}


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that imports bind, with what they stand for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(node: ast.AST, names: dict[str, str]) -> str | None:
    """Return what `a.b.c` stands for, if `a` was imported."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value, names)
        return before and f"{before}.{node.attr}"
    return None


def _is_real(dotted: str) -> bool:
    module, _, name = dotted.rpartition(".")
    return bool({name, "*"} & REAL.get(module, set()))


def test_nothing_waits_in_real_time_but_what_must() -> None:
    """P10: outside of a few files, each with its reason, nothing sleeps, waits or takes the time
    but by a clock; and each of those still needs to be one of them."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if used := real_time_in(path.read_text()):
                found[path.relative_to(ROOT).as_posix()] = sorted(used)
    assert {file: used for file, used in found.items() if file not in ALLOWED} == {}
    assert set(ALLOWED) - set(found) == set()


def test_gpiozero_only_brings_pins() -> None:
    """P10: its devices wait, blink and stamp in threads of their own; ours never use them."""
    used: set[str] = set()
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text())
            names = dict(_imports(tree))
            found = {_dotted(node, names) for node in ast.walk(tree)} | set(names.values())
            used |= {each for each in found if each and each.startswith("gpiozero.")}
    assert "gpiozero.PinInfo" in used
    parts = {each.rpartition(".")[2] for each in used if not each.startswith("gpiozero.pins.")}
    devices = {name for name, kind in vars(gpiozero).items() if _is_device(kind)}
    assert parts & {*devices, "event_held", "GPIOThread", "tools"} == set()


def _is_device(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, gpiozero.Device | gpiozero.SourceMixin)


def test_the_search_finds_every_way_of_importing() -> None:
    """A module, a module under another name, a function, a class and a local import are seen;
    variables that only have such a name, and types of annotations like `Lock`, are not."""
    source = """
import threading
import time as t
import concurrent.futures
from datetime import datetime
from queue import Queue as Q

def work(socket, select):
    from subprocess import run
    t.sleep(1)
    threading.Event().wait()
    threading.Lock()
    datetime.now()
    datetime.fromisoformat("")
    concurrent.futures.ThreadPoolExecutor()
    socket.recv(1)
    select.close()
"""
    assert real_time_in(source) == {
        "concurrent.futures.ThreadPoolExecutor", "datetime.datetime.now", "queue.Queue",
        "subprocess.run", "threading.Event", "time.sleep",
    }  # fmt: skip
