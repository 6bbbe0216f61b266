"""A node in simulated time whose configuration changes while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from edgekernel import Event, Message, Output, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.backends.sim.disk import SimDisk
from edgekernel.node.config_messages import (
    ConfigApplied,
    ConfigFallback,
    ConfigRejected,
    ConfigRolledBack,
)
from edgekernel.node.configuring import Configuration, Verdict
from edgekernel.node.reconfigure import Reconfiguration
from edgekernel.node.simulate import assemble_simulated, plug_more
from edgekernel.node.starting import choose
from edgekernel.sim import SimClock
from edgekernel.sim.bench import Bench
from edgekernel.sim.wiring import Socket

M = TypeVar("M", bound=Message)

ENDS = (ConfigApplied, ConfigFallback, ConfigRejected, ConfigRolledBack)

HEAD = '[node]\nname = "bench"\nboard = "sim"\ndata = "data"\n'
FAN = '[devices.fan]\ndriver = "relay"\npin = "GPIO17"\n'
VENT = '[devices.vent]\ndriver = "relay"\npin = "GPIO27"\n'
ROOM = '[devices.room]\ndriver = "bme280"\nbus = "i2c1"\nevery = "1s"\n'


class Changing:
    """A node that is made from a file; use it as a context manager."""

    def __init__(self, folder: Path, clock: SimClock, text: str, **how: Any) -> None:
        """Write the file and assemble the node. On a `disk` it keeps what outputs are driven with;
        all else of `how` goes to the reconfiguration."""
        self.path = folder / "node.toml"
        self.clock = clock
        self.write(text)
        self.events: list[Event] = []
        self.backend = SimBackend(clock)
        start = choose(self.path)
        self.runtime: Runtime
        self.bench: Bench
        disk: SimDisk | None = how.pop("disk", None)
        self.runtime, self.bench = assemble_simulated(
            start.plan, clock, Runtime, self.backend, disk=disk
        )
        how.setdefault("plug", lambda plan, ids: plug_more(plan, self.bench, ids))
        self.reconfiguration = Reconfiguration(self.runtime, start.plan, self.backend, **how)
        self.config = Configuration(self.runtime, start, self.reconfiguration)
        self.runtime.register(self.config)
        self.runtime.subscribe(Message, self.events.append)

    def __enter__(self) -> Changing:
        self.runtime.boot()
        return self

    def __exit__(self, *error: object) -> None:
        self.runtime.shutdown()
        self.backend.close()

    def write(self, text: str) -> None:
        """Write the node file anew, below its head unless that is in the text."""
        self.path.write_text(text if "[node]" in text else HEAD + text)

    def reload(self, text: str, seconds: float = 60.0) -> Verdict:
        """Write the file and let the node read it again; return what has come of it in the time."""
        verdicts: list[Verdict] = []
        self.write(text)
        self.config.reload(verdicts.append)
        self.clock.advance(seconds)
        assert len(verdicts) == 1, "it has not ended"
        return verdicts[0]

    def socket(self, device: str) -> Socket:
        """Return where the chip of a device is plugged in."""
        found = self.bench.wiring[device].socket
        assert found is not None
        return found

    def switch_on(self, device: str) -> None:
        """Set the output `power` of a device."""
        output: Output[Any] = self.runtime.devices[device].outputs["power"]
        output.set(True)

    def told(self, kind: type[M]) -> list[M]:
        """Return the messages of a kind."""
        return [each.payload for each in self.events if isinstance(each.payload, kind)]

    def since(self, step: Callable[[], object]) -> list[str]:
        """Return what is told of devices while a step is done: name and device."""
        begin = len(self.events)
        step()
        told = [(event.payload.name, event.payload.to_dict()) for event in self.events[begin:]]
        return [f"{name} {fields['device']}" for name, fields in told if "device" in fields]
