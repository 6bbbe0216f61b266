"""A node on a simulated board with a real outbox, which `edgekernel run --sim` does not have; it
prints every event as a line of JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edgekernel import Event, Message, SystemClock
from edgekernel.core.variants import SignalRuntime
from edgekernel.mqtt import About, MqttInterface, Settings
from edgekernel.node.plan import make_plan
from edgekernel.node.simulate import assemble_simulated


def say(event: Event) -> None:
    """Print an event."""
    told = {"name": event.payload.name, "fields": event.payload.to_dict()}
    sys.stdout.write(f"{json.dumps(told, default=str)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    plan = make_plan(Path(sys.argv[1]))
    assert plan.outbox is not None
    runtime = assemble_simulated(plan, SystemClock(), SignalRuntime)[0]
    runtime.subscribe(Message, say)
    link = MqttInterface(Settings.of(plan), about=About.of(plan), outbox=plan.outbox)
    runtime.register(link)
    runtime.run()
