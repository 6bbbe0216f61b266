"""The load generator, with a few nodes: that it measures what it says, not how much that is."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load import usage

ROOT = Path(__file__).parents[2]
NODES = 5


def load(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the generator to its end."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.load_nodes", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_phase_is_measured() -> None:
    """Five nodes in two processes connect, publish, answer, are listed, and come back."""
    options = ["--seconds", "0.5", "--outage", "0.1", "--interval", "0.1", "--per-process", "3"]
    done = load("--nodes", str(NODES), *options, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["nodes"], figures["processes"]) == (NODES, 2)
    traffic = figures["traffic"]
    assert traffic["published_per_s"] > 0
    assert traffic["delivered_per_s"] > 0
    for calls in (figures["call"], figures["checked_call"]):
        assert calls["count"] > 0
        assert 0 < calls["p50_ms"] <= calls["p99_ms"]
    assert sum(figures["restart"]["connects_per_s"]) == NODES
    assert figures["memory"]["node_threads"] > 4
    assert figures["memory"]["node_files"] >= 1


def test_what_does_not_fit_is_said_at_once() -> None:
    """More nodes than one process can serve, or than there is memory for, are refused with what to
    do."""
    with pytest.raises(SystemExit, match=r"1 to 240 nodes fit into a process"):
        usage.check(1000, 300)
    with pytest.raises(SystemExit, match="MB are free; take fewer --nodes"):
        usage.check(100_000_000, 200)


def test_open_files_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user may not have is refused, naming the limit; what is only not given is taken."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: given.append(limits))
    usage.let_open(1000)
    assert given == [(1000, 1024)]
    with pytest.raises(SystemExit, match=r"2000 open files, and this user may have 1024.*ulimit"):
        usage.let_open(2000)
