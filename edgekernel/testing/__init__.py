"""What tests of applications use: a pytest plugin, and assertions in simulated time.

With edgekernel installed, pytest has the fixtures `sim`, `node` and `runtime`;
docs/howto/test-an-application.md shows them at work.
"""

from edgekernel.testing.assertions import assert_level, assert_output, assert_reading
from edgekernel.testing.broker import Broker, Published
from edgekernel.testing.events import Events
from edgekernel.testing.node import Node
from edgekernel.testing.simulation import Simulation
from edgekernel.testing.watch import Span, Watch

__all__ = [
    "Broker",
    "Events",
    "Node",
    "Published",
    "Simulation",
    "Span",
    "Watch",
    "assert_level",
    "assert_output",
    "assert_reading",
]
