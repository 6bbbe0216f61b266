"""The call graph: counts and times by command, and who calls whom."""

from __future__ import annotations

import json

from edgekernel.core.callgraph import MAX_KEPT, CallGraph


def test_counts_times_and_edges() -> None:
    """Each call counts for its command, and for its caller if there is one."""
    graph = CallGraph()
    graph.done("fan.on", "", 10.0, 0.5, failed=False)
    graph.done("fan.on", "room.boost", 12.0, 1.5, failed=True)
    graph.done("fan.on", "room.boost", 11.0, 1.0, failed=False)
    graph.refused("fan.on")
    graph.refused("fan.off")
    report = graph.report()
    assert report["commands"]["fan.on"] == {
        "count": 3,
        "errors": 1,
        "refused": 1,
        "total_s": 3.0,
        "average_s": 1.0,
        "max_s": 1.5,
        "last_called_s": 12.0,
    }
    assert report["commands"]["fan.off"]["average_s"] == 0.0
    assert report["edges"] == [{"caller": "room.boost", "callee": "fan.on", "count": 2}]
    assert json.loads(json.dumps(report)) == report


def test_reset() -> None:
    """After a reset it counts from zero."""
    graph = CallGraph()
    graph.done("fan.on", "room.boost", 1.0, 1.0, failed=False)
    graph.reset()
    assert graph.report() == {"commands": {}, "edges": []}


def test_parts_that_come_and_go_do_not_pile_up() -> None:
    """P9: what is counted is bounded: the commands, and the pairs, that were called last."""
    graph = CallGraph()
    for number in range(MAX_KEPT + 100):
        graph.done(f"child-{number}.go", f"parent-{number}", 1.0, 1.0, failed=False)
        graph.refused(f"other-{number}.go")
        graph.done("fan.on", "room", 1.0, 1.0, failed=False)
    report = graph.report()
    assert len(report["commands"]) == len(report["edges"]) == MAX_KEPT
    assert report["commands"]["fan.on"]["count"] == MAX_KEPT + 100
    assert f"child-{MAX_KEPT + 99}.go" in report["commands"]
    assert "child-0.go" not in report["commands"]
