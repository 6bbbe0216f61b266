"""Pain 2: the controller or the link is lost, and what it switched on stays on.

raomin/ESPAltherma#423; heishamon/HeishaMon#296; xoseperez/espurna#869; Victor-Mo/IRT-ESP#15;
arendst/Tasmota#1174.
"""

from __future__ import annotations

from edgekernel import Context, Process, Service, command, message
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeNode, Node
from tests.pains.parts import HEATER

LEASED = (
    HEATER
    + """
[devices.heater.outputs.power]
lease = "30s"
"""
)


class Controller(Service):
    """Renews the heating every 10 s, until it hangs."""

    name = "controller"
    interval = 10.0

    def __init__(self, node: Node) -> None:
        self._node = node
        self.hangs = False

    def tick(self, ctx: Context) -> None:
        """Heat, or never return."""
        if self.hangs:
            ctx.clock.Event().wait()
        self._node.output("heater.power").set(True)


class Hand(Process):
    """What a client calls from afar."""

    name = "hand"

    def __init__(self, node: Node) -> None:
        self._node = node

    @command
    def heat(self) -> None:
        """Heat for as long as the lease lasts."""
        self._node.output("heater.power").set(True)


def test_hung_controller(make_node: MakeNode, clock: SimClock) -> None:
    """The program that heats hangs while the boiler is on: the output is safe when the lease is
    over, says why, and is refused to nobody afterwards."""
    node = make_node(LEASED)
    controller = Controller(node)
    node.runtime.register_service(controller)
    with node.runtime:
        clock.advance(600)
        assert node.bench.is_on("heater")
        controller.hangs = True
        clock.advance(30)
        assert not node.bench.is_on("heater")
        assert node.told(message.OutputExpired) == [
            message.OutputExpired("heater.power", "lease", 30.0)
        ]
        node.output("heater.power").set(True)
        assert node.bench.is_on("heater")


def test_silent_client(make_node: MakeNode, clock: SimClock) -> None:
    """The client that asks for heat over the network falls silent: each call renews the lease, and
    30 s after the last one the heating is off."""
    node = make_node(LEASED)
    node.runtime.register(Hand(node))
    with node.runtime:
        for _ in range(20):
            node.runtime.invoke("hand.heat")
            clock.advance(29)
            assert node.bench.is_on("heater")
        clock.advance(1)
        assert not node.bench.is_on("heater")
