"""Whatever a node is brought to, it is as one that was started so (P12)."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edgekernel import Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.core.poller import Poller
from edgekernel.node.plan import Plan
from edgekernel.node.reconfigure import Reconfiguration
from edgekernel.node.simulate import assemble_simulated, plug_more
from edgekernel.sim import SimClock
from tests.node.test_difference import plans


def described(runtime: Runtime) -> dict[str, Any]:
    """Return what a node consists of, as far as its node file decides it."""
    return {
        id: (
            type(device).__name__,
            device.every,
            sorted(set(device.depends)),
            device.online,
            {name: (len(r.filters), r.stale_s) for name, r in device.readings.items()},
            {name: output.safe for name, output in device.outputs.items()},
        )
        for id, device in runtime.devices.items()
    } | {
        name: sorted(device.id for device in service.devices)
        for name, service in runtime.services.items()
        if isinstance(service, Poller)
    }


def started(plan: Plan, clock: SimClock) -> dict[str, Any]:
    """Return what a node consists of that has started with a plan."""
    runtime, _ = assemble_simulated(plan, clock, Runtime)
    with runtime:
        clock.advance(3)
        return described(runtime)


@given(st.lists(plans(), min_size=2, max_size=4))
@settings(max_examples=20, deadline=None)
def test_it_is_as_if_it_had_started_so(wanted: list[Plan]) -> None:
    """After each change the devices, what they depend on and who polls them are those of a node
    that has started with that plan; the lines that nobody uses are free."""
    with SimClock() as clock:
        backend = SimBackend(clock)
        runtime, bench = assemble_simulated(wanted[0], clock, Runtime, backend)
        change = Reconfiguration(
            runtime, wanted[0], backend, plug=lambda plan, ids: plug_more(plan, bench, ids)
        )
        with runtime:
            for plan in wanted[1:]:
                worker = clock.Thread(partial(change.carry_out, plan), "change")
                worker.start()
                clock.advance(3)
                assert described(runtime) == started(plan, clock)
        backend.close()
