"""`edgekernel run`: the agent, on the real board or a simulated one."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekernel.backends.disk import SystemDisk
from edgekernel.cli.configured import Board, configure, keep_up
from edgekernel.cli.console import fail, out, show
from edgekernel.cli.ending import Ending
from edgekernel.cli.exits import Exit
from edgekernel.cli.fault_plan_file import naming
from edgekernel.cli.live import EventLines, LiveView, View, describe, for_journald, goes_to_journald
from edgekernel.cli.recording import as_it_is, open_recording
from edgekernel.cli.span import Span
from edgekernel.core import message
from edgekernel.core.clock import Clock, SystemClock
from edgekernel.core.errors import BootError, BusyError, ConfigError, EdgekernelError
from edgekernel.core.messages import Message
from edgekernel.core.output import Output
from edgekernel.core.runtime import Runtime
from edgekernel.core.variants import SignalRuntime
from edgekernel.hal.gpio import DigitalInput
from edgekernel.node.plan import Plan
from edgekernel.node.restart import NOTHING_KEPT, RestartCause, note_run
from edgekernel.node.service_manager import ServiceManager
from edgekernel.node.standby_link import StandbyLink
from edgekernel.node.starting import choose
from edgekernel.node.update_state import read_state, running_slot

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgekernel.backends.backend import Backend
    from edgekernel.journal import Journal
    from edgekernel.mqtt import EmbeddedBroker, MqttInterface
    from edgekernel.mqtt.kept_away import KeptAway
    from edgekernel.node.configuring import Configuration
    from edgekernel.node.drill import NodeDrill
    from edgekernel.sim.bench import Bench

_STDOUT = 1
_SIMULATED = RestartCause("unknown", "a simulated run keeps nothing")
_SWITCH_INTERVAL_S = 0.0005
"""How long a busy thread keeps the others from running; see docs/decisions/0004."""


@dataclass(frozen=True)
class _Wanted:
    simulated: bool
    live: bool
    as_json: bool
    seconds: float | None
    drill: Path | None = None


@click.command()
@click.argument("node", type=click.Path(readable=False, path_type=Path))
@click.option("--sim", "simulated", is_flag=True, help="Run on a simulated board.")
@click.option("--broker", is_flag=True, help="Start an MQTT broker on this computer for the run.")
@click.option("--live", is_flag=True, help="Show the node in the terminal while it runs.")
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON.")
@click.option(
    "--journal",
    type=click.Path(file_okay=False, path_type=Path),
    help="Record the run into the folder DIR.",
    metavar="DIR",
)
@click.option(
    "--drill",
    type=click.Path(readable=False, path_type=Path),
    help="Let the faults of the plan FILE happen to the node; asks before.",
    metavar="FILE",
)
@click.option("--yes", is_flag=True, help="Do not ask before a drill.")
@click.option(
    "--for", "seconds", type=Span(or_none=True), help="Stop after so long, such as 10s or 2h."
)
def run(
    node: Path,
    simulated: bool,
    broker: bool,
    live: bool,
    as_json: bool,
    journal: Path | None,
    drill: Path | None,
    yes: bool,
    seconds: float | None,
) -> None:
    """Run the node described by the file NODE until Ctrl-C or SIGTERM.

    Outputs begin at their safe value and are brought back to it before the agent ends. Without
    --sim the agent opens the real pins, buses and ports of the board. What it does is recorded
    if the node file has a [journal] table, or with --journal; see `edgekernel journal show`.
    --drill breaks parts of it on purpose for a while, between the drivers and the board; all is
    whole again when it stops.

    \b
      edgekernel run node.toml
      edgekernel run node.toml --sim --broker --live
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        start = choose(node, environ=os.environ, simulated=simulated)
        plan = start.plan
        linked = plan.document.mqtt is not None or broker
        kept = _kept_away() if drill and linked else None
        drilled = _drill(plan, drill, yes, kept) if drill else None
        with ExitStack() as stack:
            embedded = _start_broker(plan, stack) if broker else None
            clock = SystemClock()
            if not simulated:
                _take_data(plan, stack)
            recording = open_recording(plan, clock, journal, stack)
            with naming(drill):
                runtime, board = _make(plan, simulated, clock, recording, drilled)
            cause = _note_run(plan, runtime, simulated)
            manager = ServiceManager.of(os.environ)
            keep_up(plan, runtime, None if simulated else manager)
            link = partial(_link, simulated=simulated, embedded=embedded, kept=kept, cause=cause)
            standby = None if simulated else StandbyLink.of(os.environ, runtime, plan)
            if drilled is None:  # its faults are for the devices that are there
                configure(runtime, start, board, link, standby)
            elif (interface := link(plan)) is not None:
                runtime.register(interface)
            if manager is not None:
                manager.attend(runtime, _link_messages() if linked else None)
            wanted = _Wanted(simulated, live, as_json, seconds, drill)
            raise click.exceptions.Exit(_live(plan, runtime, embedded, wanted, standby))
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    except ImportError as error:  # an extra that is not installed says which
        fail(Exit.REFUSED, [str(error)])
    except BootError as error:
        fail(Exit.FAILED, tree(error))


def _take_data(plan: Plan, stack: ExitStack) -> None:
    """Have the folder of what the node keeps for oneself: a second agent of the same node would
    drive against the first one. A disk that fails is told when it is written to."""
    if plan.data is None:
        return
    disk = SystemDisk()
    try:
        disk.make_folder(plan.data)
        stack.callback(disk.take_folder(plan.data).close)
    except BusyError:
        fail(Exit.REFUSED, [f"{plan.name}: runs already: another agent uses {plan.data}"])
    except OSError:
        return


def _start_broker(plan: Plan, stack: ExitStack) -> EmbeddedBroker:
    """Start a broker until the end of `stack`, on the port of the node file if that is free."""
    from edgekernel.mqtt import EmbeddedBroker

    try:
        return stack.enter_context(EmbeddedBroker(prefer=_port(plan)))
    except EdgekernelError as error:
        raise ConfigError(str(error)) from error


def _port(plan: Plan) -> int:
    """Return the port that the node file asks for."""
    from edgekernel.mqtt.broker import STANDARD_PORT

    table = plan.document.mqtt
    return (table.port if table is not None else None) or STANDARD_PORT


def _kept_away() -> KeptAway:
    from edgekernel.mqtt.kept_away import KeptAway

    return KeptAway()


def _drill(plan: Plan, file: Path, yes: bool, kept: KeptAway | None) -> NodeDrill:
    """Load a plan of faults, and make sure that it is wanted."""
    from edgekernel.node.drill import NodeDrill
    from edgekernel.node.fault_plan import load_faults

    faults = load_faults(file)
    words = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    question = f"A drill: the {words} of {file.name} will happen to {plan.name}. Go on?"
    if not yes:
        click.confirm(question, abort=True, err=True)
    return NodeDrill(plan, faults, keep_broker_away=kept.keep if kept else None)


def _make(
    plan: Plan, simulated: bool, clock: Clock, journal: Journal | None, drill: NodeDrill | None
) -> tuple[SignalRuntime, Board]:
    record = journal.around if journal else as_it_is

    def around(backend: Backend) -> Backend:
        board.backend = record(drill.around(backend, clock) if drill else backend)
        return board.backend

    board = Board()
    runtime, board.bench = _assemble(plan, simulated, clock, around)
    if drill is not None:
        drill.join(runtime)
    if journal is not None:
        journal.record(runtime, plan)
    return runtime, board


def _assemble(
    plan: Plan, simulated: bool, clock: Clock, around: Callable[[Backend], Backend]
) -> tuple[SignalRuntime, Bench | None]:
    if simulated:
        from edgekernel.node.simulate import assemble_simulated

        return assemble_simulated(plan, clock, SignalRuntime, around=around)
    from edgekernel.backends.linux import LinuxBackend
    from edgekernel.node.assemble import assemble
    from edgekernel.node.computer_watch import ComputerWatch
    from edgekernel.node.machine import Machine

    runtime = assemble(plan, around(LinuxBackend(clock)), clock, SignalRuntime, remember=True)
    runtime.register(ComputerWatch(Machine(), plan.data))
    return runtime, None


def _note_run(plan: Plan, runtime: Runtime, simulated: bool) -> RestartCause:
    if simulated:
        return _SIMULATED
    if plan.data is None:
        return NOTHING_KEPT
    return note_run(runtime, plan.data, SystemDisk(), slot=running_slot(), update=read_state())


def _link(
    plan: Plan,
    configuration: Configuration | None = None,
    *,
    simulated: bool,
    embedded: EmbeddedBroker | None,
    kept: KeptAway | None,
    cause: RestartCause,
) -> MqttInterface | None:
    """Make what links the node to its broker; None if there is none."""
    if plan.document.mqtt is None and embedded is None:
        return None
    from edgekernel.mqtt import About, MqttInterface, Settings
    from edgekernel.mqtt.remote_config import RemoteConfig

    settings = Settings.of(plan)
    if embedded is not None:
        settings = replace(settings, host=embedded.host, port=embedded.port, tls=None)
    outbox = None if simulated else plan.outbox
    medium = kept.medium if kept else None
    remote = None if configuration is None else RemoteConfig(configuration)
    about = replace(About.of(plan), restart_cause=cause.kind, restart_detail=cause.detail)
    return MqttInterface(settings, about=about, outbox=outbox, medium=medium, remote=remote)


def _link_messages() -> tuple[type[Message], type[Message]]:
    from edgekernel.mqtt import MqttConnected, MqttDisconnected

    return MqttConnected, MqttDisconnected


def _live(
    plan: Plan,
    runtime: SignalRuntime,
    embedded: EmbeddedBroker | None,
    wanted: _Wanted,
    standby: StandbyLink | None,
) -> Exit:
    ending = Ending(runtime)
    view: View
    if wanted.live and out.is_terminal:
        notice = f"DRILL with {wanted.drill.name}" if wanted.drill else ""
        hints = partial(_hints, plan, runtime, embedded, wanted)
        view = LiveView(plan, runtime, lambda: hints()[1:], notice)
    else:
        shown = for_journald if goes_to_journald(os.environ, _STDOUT) else describe
        view = EventLines(runtime, as_json=wanted.as_json, show=shown)
        if not wanted.as_json:
            out.print("\n".join(_hints(plan, runtime, embedded, wanted)), soft_wrap=True)
    with view:
        if wanted.seconds is not None:
            stop = partial(_stop_after, runtime, wanted.seconds)
            runtime.subscribe(message.RuntimeBooted, lambda event: stop())
        if standby is not None:
            standby.start()
        runtime.run()
    if standby is not None and not ending.unsafe():
        standby.stand_down()
    return _tell_ending(plan, ending, wanted)


def _tell_ending(plan: Plan, ending: Ending, wanted: _Wanted) -> Exit:
    if unsafe := ending.unsafe():
        head = f"{plan.name}: stopped ({ending.reason}), outputs may NOT be safe:"
        fail(Exit.FAILED, [head, *(f"  {problem}" for problem in unsafe)])
    if ending.by_critical_service:
        fail(Exit.FAILED, [f"{plan.name}: stopped: {ending.reason}"])
    if not wanted.as_json:
        out.print(f"{plan.name}: stopped ({ending.reason}), outputs are safe", soft_wrap=True)
    return Exit.DONE


def _stop_after(runtime: Runtime, seconds: float) -> None:
    def stop() -> None:
        runtime.clock.sleep(seconds)
        runtime.shutdown(f"--for {seconds:g}")

    runtime.clock.Thread(stop, f"{runtime.name}:for").start()


def _hints(
    plan: Plan, runtime: Runtime, embedded: EmbeddedBroker | None, wanted: _Wanted
) -> list[str]:
    """Return what a newcomer can do now and see, ready to be copied into a second terminal."""
    where = "on a simulated board" if wanted.simulated else f"on {plan.board.name}"
    hints = [f"{plan.name} runs {where}. Ctrl-C stops it."]
    if wanted.drill is not None:
        hints.append(f"This is a DRILL: the faults of {wanted.drill.name} happen to it.")
    if embedded is None:
        return hints
    taken = _port(plan)
    why = "" if embedded.port == taken else f" (port {taken} is taken)"
    hints.append(f"MQTT broker: {embedded.kind} on {embedded.host}:{embedded.port}{why}")
    if not _speaks_to_ctl(plan):
        return hints
    hints.append("From a second terminal:")
    port = "" if embedded.port == 1883 else f" --port {embedded.port}"
    ctl = f"  {_program()} ctl{port}"
    hints.append(f"{ctl} watch {plan.name}")
    outputs = [
        f"{device.id}/{name} {show(_other(output))}"
        for device in runtime.devices.values()
        for name, output in device.outputs.items()
        if output.values.type is bool
    ]
    hints += [f"{ctl} set {plan.name} {each}" for each in outputs[-1:]]
    if wanted.simulated:
        inputs = [d.id for d in plan.devices if DigitalInput in d.kinds.values()]
        hints += [f"{ctl} call {plan.name} sim.press device={each}" for each in inputs[:1]]
    return hints


def _other(output: Output[Any]) -> bool:
    """Return the value to which a switch is to be set for a change to be seen."""
    now = output.readback.peek_sample().value
    return not (output.safe if now is None else now)


def _speaks_to_ctl(plan: Plan) -> bool:
    from edgekernel.mqtt.dialect import load_dialect

    return plan.document.mqtt is None or load_dialect(plan.document.mqtt.dialect).for_ctl


def _program() -> str:
    """Return how this program was called, as it can be called again from here."""
    called = Path(sys.argv[0])
    if shutil.which(called.name) == str(called) or not called.exists():
        return "edgekernel"
    return os.path.relpath(called)


def tree(error: BaseException, indent: str = "") -> list[str]:
    """Return an error tree as lines, the parts of a group indented below it."""
    if isinstance(error, BaseExceptionGroup):
        lines = [f"{indent}{error.message}:"]
        for each in error.exceptions:
            lines += tree(each, indent + "  ")
        return lines
    return [indent + ": ".join([*getattr(error, "__notes__", ()), str(error)])]
