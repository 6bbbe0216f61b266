"""A node that `edgekernel run` runs, whose configuration can change while it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekernel.core.runtime import Runtime
from edgekernel.node.configuring import Configuration
from edgekernel.node.plan import Plan
from edgekernel.node.reconfigure import Reconfiguration
from edgekernel.node.starting import Start

if TYPE_CHECKING:
    from edgekernel.backends.backend import Backend
    from edgekernel.mqtt import MqttInterface
    from edgekernel.node.standby_link import StandbyLink
    from edgekernel.sim.bench import Bench


@dataclass
class Board:
    """What the devices of a node are made on, and what is around that if it is simulated."""

    backend: Backend | None = None
    bench: Bench | None = None

    def plug(self, plan: Plan, ids: Iterable[str]) -> None:
        """Put simulated chips where devices look for them that are new."""
        if self.bench is None:
            return
        from edgekernel.node.simulate import plug_more

        plug_more(plan, self.bench, ids)


def configure(
    runtime: Runtime,
    start: Start,
    board: Board,
    link: Callable[[Plan, Configuration], MqttInterface | None],
    standby: StandbyLink | None = None,
) -> None:
    """Register what changes a node's configuration, and what links it to its broker."""
    assert board.backend is not None, "the runtime was assembled on it"
    plan = start.plan

    def linked(plan: Plan) -> MqttInterface | None:
        return link(plan, configuration)

    change = Reconfiguration(
        runtime,
        plan,
        board.backend,
        make_link=linked,
        plug=board.plug,
        announce=(lambda plans: None) if standby is None else standby.watch,
    )
    configuration = Configuration(runtime, start, change, _check)
    runtime.register(configuration)
    if (interface := linked(plan)) is not None:
        runtime.register(interface)


def _check(plan: Plan) -> None:
    """Check what `[mqtt]` says. Raises ConfigError."""
    if plan.document.mqtt is not None:
        from edgekernel.mqtt import Settings
        from edgekernel.mqtt.dialect import read_own

        read_own(Settings.of(plan))
