"""Replay: an application on what a journal has recorded, and incidents as tests."""

from edgekernel.journal.replay.compare import Difference
from edgekernel.journal.replay.opening import plan_of, plan_recorded, read_journal
from edgekernel.journal.replay.player import TOLERANCE_S, Replayed, Wanted, replay
from edgekernel.journal.replay.recording import (
    Hole,
    Recording,
    RecordingError,
    choose,
    recordings,
)

__all__ = [
    "TOLERANCE_S",
    "Difference",
    "Hole",
    "Recording",
    "RecordingError",
    "Replayed",
    "Wanted",
    "choose",
    "plan_of",
    "plan_recorded",
    "read_journal",
    "recordings",
    "replay",
]
