"""What an import costs over bare Python: time, memory, modules.

Every import is in a fresh interpreter, the cases interleaved. On the smallest boards it takes about
twenty times as long as on a server. What counts in the end is that nothing heavy is loaded; that
list is tests/test_public_names.py's, too, where it is enforced.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from benchmarks.report import ROOT, Goal, least_and_median, options, publish, table

REPETITIONS, QUICK_REPETITIONS = 15, 3
OURS = "import edgekernel"
CASES = {
    "bare python": "",
    OURS: OURS,
    "import bussdcc": "import bussdcc",
    "import signalpy.kernel": "import signalpy.kernel",
}
FORBIDDEN = ("asyncio", "ssl", "pydantic", "click", "paho", "importlib.metadata")
MEASURE = f"""
import sys
resident = int(open("/proc/self/statm").read().split()[1])
print(resident, len(sys.modules), *(m for m in {FORBIDDEN!r} if m in sys.modules))
"""
PAGE_MIB = 4096 / 2**20
GOAL_MS, GOAL_MIB = 30, 5


class Case:
    """Measurements of one import: wall time in ms, resident memory in MiB, what was loaded."""

    def __init__(self, code: str) -> None:
        self.ms: list[float] = []
        self.mib: list[float] = []
        self.modules = 0
        self.heavy: list[str] = []
        self._command = [sys.executable, "-c", f"{code}\n{MEASURE}"]

    def repeat(self, bytecode: str) -> None:
        """Start one interpreter that keeps its bytecode in a folder."""
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has bytecode
        begin = time.perf_counter()
        done = subprocess.run(
            self._command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=environment,
        )
        self.ms.append((time.perf_counter() - begin) * 1000)
        pages, modules, *self.heavy = done.stdout.split()
        self.mib.append(int(pages) * PAGE_MIB)
        self.modules = int(modules)


def report(cases: dict[str, Case]) -> str:
    """Return the table, the goals and what heavy modules are loaded, as Markdown."""
    bare, ours = cases["bare python"], cases[OURS]
    header = ["", "ms, min / median", "over bare", "MiB, min / median", "over bare", "modules"]
    rows = [
        [
            name,
            least_and_median(case.ms, 1),
            f"{min(case.ms) - min(bare.ms):+.1f}",
            least_and_median(case.mib, 1),
            f"{min(case.mib) - min(bare.mib):+.1f}",
            str(case.modules),
        ]
        for name, case in cases.items()
    ]
    goals = [
        Goal(f"{OURS} over bare Python", min(ours.ms) - min(bare.ms), GOAL_MS, "ms"),
        Goal(f"{OURS} over bare Python", min(ours.mib) - min(bare.mib), GOAL_MIB, "MiB"),
    ]
    heavy = [
        f"- {name} loads {', '.join(case.heavy) or 'none'} of {', '.join(FORBIDDEN)}"
        for name, case in cases.items()
        if case is not bare
    ]
    return "\n".join([table(header, rows), "", *map(str, goals), *heavy])


def main() -> None:
    """Measure, interleaved, and print."""
    arguments = options(__doc__ or "").parse_args()
    cases = {name: Case(code) for name, code in CASES.items()}
    with tempfile.TemporaryDirectory() as bytecode:
        for case in cases.values():
            case.repeat(bytecode)  # the first only fills the disk cache and writes the bytecode
            case.ms.clear()
            case.mib.clear()
        for _ in range(QUICK_REPETITIONS if arguments.quick else REPETITIONS):
            for case in cases.values():
                case.repeat(bytecode)
    figures = {
        name: {"ms": case.ms, "mib": case.mib, "modules": case.modules, "heavy": case.heavy}
        for name, case in cases.items()
    }
    publish("bench_import", report(cases), figures, arguments)
    if cases[OURS].heavy:
        sys.exit(f"bench_import: {OURS} loads {', '.join(cases[OURS].heavy)}")


if __name__ == "__main__":
    main()
