"""What tests of applications use: a pytest plugin, and assertions in simulated time.

With edgekernel installed, pytest has the fixtures `sim`, `node`, `runtime` and `replay`;
docs/howto/test-an-application.md and docs/replay.md show them at work.
"""

from edgekernel.testing.assertions import assert_level, assert_output, assert_reading
from edgekernel.testing.broker import Broker, Published
from edgekernel.testing.events import Events
from edgekernel.testing.incident import Incident
from edgekernel.testing.node import Node
from edgekernel.testing.simulation import Simulation
from edgekernel.testing.watch import Span, Watch

__all__ = [
    "Broker",
    "Events",
    "Incident",
    "Node",
    "Published",
    "Simulation",
    "Span",
    "Watch",
    "assert_level",
    "assert_output",
    "assert_reading",
]
