"""An MQTT broker for simulated time: in the process, in fibers, the same in each run."""

from edgekernel.sim.broker.broker import SimBroker
from edgekernel.sim.broker.connection import Client, Connection
from edgekernel.sim.broker.counts import Counts
from edgekernel.sim.broker.packets import Hello, Publication
from edgekernel.sim.broker.topics import matches

__all__ = [
    "Client",
    "Connection",
    "Counts",
    "Hello",
    "Publication",
    "SimBroker",
    "matches",
]
