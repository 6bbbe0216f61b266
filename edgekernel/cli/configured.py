"""A node that `edgekernel run` runs, whose configuration can change while it does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekernel.core.runtime import Runtime
from edgekernel.node.busy import Busy, GuardedBusy
from edgekernel.node.configuring import Configuration
from edgekernel.node.plan import Plan
from edgekernel.node.reconfigure import Reconfiguration
from edgekernel.node.roles import authorizer_of
from edgekernel.node.starting import Start
from edgekernel.node.update_request import REQUEST_FILE
from edgekernel.node.update_state import STATE_FILE
from edgekernel.node.update_watch import UpdateWatch
from edgekernel.node.updating import GuardedUpdate, Update
from edgekernel.node.witness import WITNESS_FILE

if TYPE_CHECKING:
    from edgekernel.backends.backend import Backend
    from edgekernel.mqtt import MqttInterface
    from edgekernel.node.service_manager import ServiceManager
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


def keep_up(plan: Plan, runtime: Runtime, manager: ServiceManager | None) -> None:
    """Register what lets others say "not now", and what updates the system the node runs from.

    `manager` is who has started the agent; a simulated one has none.
    """
    guarded = authorizer_of(plan.document) is not None
    runtime.register((GuardedBusy if guarded else Busy)(runtime))
    terms = plan.document.update
    witness = None if manager is None else _in_own_folder(WITNESS_FILE)
    run = os.environ.get("INVOCATION_ID", "")  # systemd.exec(5)
    if terms.remote:
        kind = GuardedUpdate if guarded else Update
        runtime.register(
            kind(
                runtime,
                STATE_FILE,
                terms,
                witness,
                run,
                requests=_in_own_folder(REQUEST_FILE),
                comes_back=manager is not None,
            )
        )
    elif STATE_FILE.exists():
        runtime.register(UpdateWatch(runtime, STATE_FILE, terms, witness, run))


def _in_own_folder(file: Path) -> Path | None:
    """Return a file in which root looks, if systemd has made its folder for this agent
    (systemd.exec(5), RuntimeDirectory=)."""
    folder = Path(os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0])
    return file if folder == file.parent else None


def _check(plan: Plan) -> None:
    """Check what `[mqtt]` says. Raises ConfigError."""
    if plan.document.mqtt is not None:
        from edgekernel.mqtt import Settings
        from edgekernel.mqtt.dialect import read_own

        read_own(Settings.of(plan))
