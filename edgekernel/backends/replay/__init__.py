"""The boundaries of a board as a record has them: what was answered then is answered again."""

from edgekernel.backends.replay.backend import ReplayBackend
from edgekernel.backends.replay.tape import Tape, Unrecorded

__all__ = ["ReplayBackend", "Tape", "Unrecorded"]
