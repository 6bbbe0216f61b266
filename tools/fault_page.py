"""docs/faults.md: every kind of fault, where it is possible, and the test that shows it.

The tests are found, not listed: in the test file of the kind's module, or else of the others, the
first test that uses the kind, itself or by a function of the file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from edgekernel.sim.drill import WAYS
from edgekernel.sim.faults import KINDS, FaultKind

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests/sim/faults"
DRILLS = [ROOT / "tests/sim/drill/test_ways.py", ROOT / "tests/cli/test_drill.py"]

HEAD = """# Faults

What can go wrong in a fault plan: [how a plan is written and played](howto/simulate.md). The same
plan runs in `edgekernel simulate`, in pytest (`node("node.toml", faults="plan.toml")`) and, with
the kinds that need no simulation, as a drill on a real node (`edgekernel run node.toml --drill
plan.toml`). A kind that is not possible somewhere is refused there before anything starts, with
the fault and the reason.

A setting with a value is that by default, and one with none can be left out; *needed* has to be
given.
"""

TAIL = """
## When the agent dies

With `agent_killed` and `power_cut` the world goes on without the agent, and other faults of the
plan come and go at their times. When the fault ends the agent boots anew: on the same board, in
the same world, with what is on its disk. What an application keeps in its modules is not
forgotten, as these stay loaded; the monotonic time goes on, also after a power cut. If the boot
fails it is tried again after 5 s, as a service manager does. After a kill outputs stay as they
were until the agent is back ([0006](decisions/0006-safe-levels-after-the-agent.md)). `for`
includes the time until the agent starts.

## Drills

A drill comes between the drivers and the board, and those of readings before the filters of the
node file. The wires carry what they always do, so what protects a bus sees nothing of it: a bus
that is stuck in a drill is not clocked free. A quantity is named as in simulation
(`temperature_c`) or as the reading (`temperature`). `agent_killed` sends SIGKILL to the agent;
who starts it again is its service manager, whatever `for` says. `edgekernel run` asks before a
drill, unless `--yes` is given; the drill is told as `drill.began` and `drill.ended`, stands in
the title of the live view and in the health of the part `drill`, and all its faults end when the
node stops.
"""


def faults_page() -> str:
    """Return the page. Raises LookupError for a kind that no test shows."""
    rows = [
        "| Kind | With | What it is | Settings | Simulation, pytest | Drill |",
        "|---|---|---|---|---|---|",
        *map(_row, KINDS),
    ]
    return "\n".join([HEAD, *rows, TAIL])


def _row(kind: type[FaultKind]) -> str:
    text = " ".join((kind.__doc__ or "").split())
    targets = ", ".join(kind.on) or "-"
    here = [TESTS / f"test_{kind.__module__.rpartition('.')[2]}.py"]
    shown = _link(kind, [*filter(Path.is_file, here), *sorted(TESTS.glob("test_*.py"))])
    drill = _link(kind, DRILLS) if kind in WAYS else "-"
    settings = ", ".join(_settings(kind)) or "-"
    return f"| `{kind.word}` | {targets} | {text} | {settings} | {shown} | {drill} |"


def _settings(kind: Any) -> Iterator[str]:
    for each in fields(kind):
        if each.default is MISSING:
            yield f"`{each.name}` (needed)"
        else:
            yield f"`{each.name}`" + (f" ({each.default})" if each.default is not None else "")


def _link(kind: type[FaultKind], files: list[Path]) -> str:
    for file in files:
        name = _shown_by(kind, file)
        if name:
            return f"[`{name}`](../{file.relative_to(ROOT)})"
    raise LookupError(f"no test shows the fault {kind.word}: {kind.__name__}")


def _shown_by(kind: type[FaultKind], file: Path) -> str:
    """Return the first test of a file that uses a kind, or has it in a plan; empty if there is
    none."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    parts = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
    using = {kind.__name__, f'kind = "{kind.word}"'}
    using |= {each.name for each in parts if not _is_test(each) and using & _used(each)}
    return next((each.name for each in parts if _is_test(each) and using & _used(each)), "")


def _is_test(part: ast.FunctionDef) -> bool:
    return part.name.startswith("test_")


def _used(part: ast.AST) -> set[str]:
    """Return the names that are used in a function or its decorators, and the kinds of plans."""
    found: set[str] = set()
    for each in ast.walk(part):
        if isinstance(each, ast.Name):
            found.add(each.id)
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            found.update(re.findall(r'kind = "\w+"', each.value))
    return found
