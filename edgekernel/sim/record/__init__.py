"""What a simulated run was like: recorded while it runs, summed up, and drawn."""

from edgekernel.sim.record.recorder import NotableEvent, PlayedFault, Recorder
from edgekernel.sim.record.timeline import draw
from edgekernel.sim.record.track import Track

__all__ = ["NotableEvent", "PlayedFault", "Recorder", "Track", "draw"]
