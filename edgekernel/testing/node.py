"""Node: a node file booted on the simulated board, as a test sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from edgekernel.core.errors import UnknownTargetError
from edgekernel.core.runtime import Runtime
from edgekernel.testing.events import Events

if TYPE_CHECKING:
    from edgekernel.node import Plan
    from edgekernel.node.simulated_node import SimulatedNode
    from edgekernel.sim.faults import Fault
    from edgekernel.testing.simulation import Simulation

SetUp = Callable[[Runtime], object]
"""Registers parts, as the `setup` of an application does."""
Faults: TypeAlias = "str | Path | Sequence[Fault]"
"""A fault plan: its file, its text, or the faults themselves."""


class Node:
    """A node that runs in simulated time.

    Its devices are attributes and items: `node.room`, `node["air-in"]`. `bench` is its outside:
    chips, lines, the level that a meter shows.
    """

    def __init__(self, simulated: SimulatedNode[Runtime], events: Events) -> None:
        self.simulated = simulated
        """The agent and what stays when it dies."""
        self.bench = simulated.bench
        self.board = simulated.board
        self.events = events

    @property
    def runtime(self) -> Runtime:
        """That of the agent that runs, or of the last one."""
        return self.simulated.runtime

    @property
    def alive(self) -> bool:
        """Whether the agent runs."""
        return self.simulated.alive

    def kill(self) -> None:
        """End the agent as `kill -9` does: lines, chips, worlds and files stay as they are."""
        self.simulated.kill()

    def cut_power(self) -> None:
        """Take the power away: outputs do nothing, chips forget, what is not synced is lost."""
        self.simulated.cut_power(Random(0))

    def start_again(self) -> None:
        """Bring the power back and start the agent; it boots while time passes."""
        self.simulated.start_again()

    @property
    def name(self) -> str:
        """The node's name."""
        return self.runtime.name

    def __getitem__(self, device: str) -> Any:
        return self.runtime.devices[device]

    def __getattr__(self, device: str) -> Any:
        if device.startswith("_"):
            raise AttributeError(device)
        try:
            return self.runtime.devices[device]
        except KeyError as error:
            raise AttributeError(f"{self.runtime.name}: {error.args[0]}") from None

    def invoke(self, command: str, /, **arguments: object) -> Any:
        """Carry out the command `component.command`; see `Runtime.invoke` for what it raises."""
        return self.runtime.invoke(command, arguments)

    def is_on(self, device: str) -> bool:
        """Say whether a device's line is at its active level, seen from outside."""
        return self.bench.is_on(device)

    def chip(self, device: str) -> Any:
        """Return the simulated chip of a device; its quantities are plain attributes."""
        return self.bench.chip(device)

    def press(self, device: str, seconds: float = 0.2) -> None:
        """Press a button; it returns at once, and the release comes by itself."""
        self.bench.press(device, seconds)

    @property
    def world(self) -> Any:
        """The world that the node file's `[sim]` table names; None if there is none.

        Raises UnknownTargetError if there are several.
        """
        if len(self.worlds) > 1:
            names = ", ".join(self.worlds)
            raise UnknownTargetError(
                f'{self.name} has several worlds ({names}): name one, as in worlds["..."]'
            )
        return next(iter(self.worlds.values()), None)

    @property
    def worlds(self) -> dict[str, Any]:
        """The worlds around it, by the names that the node file gives them."""
        return self.bench.worlds

    def __repr__(self) -> str:
        return f"<Node {self.name}: {', '.join(self.runtime.devices)}>"


def start_node(
    simulation: Simulation,
    source: str | Path,
    folder: Path,
    setup: SetUp | None = None,
    faults: Faults = (),
) -> Node:
    """Boot a node from a file or from the text of one.

    A path is looked up in `folder`, then in the current folder; beside a text, `folder` is where
    the application is found. With an `[mqtt]` table it is on the simulation's broker. `setup`
    registers more parts. `faults` are a fault plan: a file, the text of one, or Fault objects;
    chance in it is by the simulation's seed. The first node is on the simulation's board, every
    other on its own. Raises what is wrong with the files: ConfigError, BootError.
    """
    from edgekernel.node.simulated_node import SimulatedNode

    board = simulation.make_board() if simulation.nodes else simulation.board
    plan = _plan(source, folder)
    events = Events(simulation.clock)

    broker = simulation.broker.server if plan.document.mqtt is not None else None

    def prepare(runtime: Runtime) -> None:
        if broker is not None:
            from edgekernel.mqtt.simulated import connect_simulated

            connect_simulated(plan, runtime, broker, simulation.seed)
        if setup is not None:
            setup(runtime)
        events.listen_to(runtime)
        simulation.events.listen_to(runtime)

    simulated = SimulatedNode(
        plan, simulation.clock, Runtime, board,
        faults=_faults(faults, folder) if isinstance(faults, str | Path) else faults,
        seed=simulation.seed or 0, broker=broker, prepare=prepare,
    )  # fmt: skip
    node = Node(simulated, events)
    simulation.start(node)
    return node


def _plan(source: str | Path, folder: Path) -> Plan:
    from edgekernel.node import make_plan

    if _is_text(source):
        from edgekernel.node.document import parse_document, parse_toml
        from edgekernel.node.plan import plan_document

        path = folder / "node.toml"
        return plan_document(parse_document(parse_toml(source, path.name), path.name), path)
    return make_plan(_found(source, folder, "node file"))


def _faults(source: str | Path, folder: Path) -> Sequence[Fault]:
    from edgekernel.node.document import parse_toml
    from edgekernel.node.fault_plan import load_faults, parse_faults

    if _is_text(source):
        return parse_faults(parse_toml(source, "fault plan"), "fault plan")
    return load_faults(_found(source, folder, "fault plan"))


def _is_text(source: str | Path) -> TypeGuard[str]:
    """Say whether it is what stands in a file, and no path of one."""
    return isinstance(source, str) and "\n" in source


def _found(source: str | Path, folder: Path, what: str) -> Path:
    places = [folder / source, Path(source)]
    for path in places:
        if path.is_file():
            return path
    looked = " or ".join(dict.fromkeys(str(path.parent.resolve()) for path in places))
    raise FileNotFoundError(f"no {what} {Path(source).name!r} in {looked}")


@contextmanager
def applications_forgotten() -> Iterator[None]:
    """Forget the folders that node files were in, and the modules that were loaded from them.

    So each test has its application fresh, and two may have applications of one name.
    """
    path, modules = list(sys.path), set(sys.modules)
    yield
    folders = tuple(f"{folder}/" for folder in sys.path if folder not in path)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if folders and file.startswith(folders):
            del sys.modules[name]
