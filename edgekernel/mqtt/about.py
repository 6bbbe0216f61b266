"""What a node publishes of itself beside what its runtime knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekernel.node import Plan


@dataclass(frozen=True, slots=True)
class About:
    """The board, the fingerprint of the node file, and the labels that the fleet picks nodes by;
    and why the agent was started: see `edgekernel.node.restart.RestartCause`. `data` is the folder
    of which the disk is told."""

    board: str = ""
    config: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    restart_cause: str = "unknown"
    restart_detail: str = ""
    data: Path | None = None

    @classmethod
    def of(cls, plan: Plan) -> About:
        """Return what a plan says."""
        from edgekernel.node.fingerprint import fingerprint  # a plan is here: it is loaded

        document = plan.document
        labels = document.node.labels
        return cls(plan.board.id, fingerprint(document), labels, data=plan.data)


NOTHING_KNOWN = About()
