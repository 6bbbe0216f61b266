"""A running node on real serial ports is brought to another plan: only what changes is touched."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from functools import reduce
from operator import xor
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekernel import Runtime, SystemClock
from edgekernel.backends.linux import LinuxBackend
from edgekernel.cli import main
from edgekernel.node import make_plan
from edgekernel.node.assemble import assemble
from edgekernel.node.plan import Plan
from edgekernel.node.reconfigure import Reconfiguration

LIMIT_S = 30.0
RECEIVER = '[devices.{}]\ndriver = "gps"\nport = "{}"\nevery = "20ms"\n'
SENTENCE = "GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,{},M,48.0,M,,"


class Line:
    """A serial line: its far end, and the port of the node, by the name of a link to it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.far, self._near = os.openpty()
        self.device = os.ttyname(self._near)
        self.link = folder / name
        self.link.symlink_to(self.device)
        self.port = f"/dev/..{self.link}"  # a node file has ports below /dev

    def close(self) -> None:
        """Unplug it."""
        os.close(self.far)
        os.close(self._near)

    def opened(self) -> int | None:
        """Return as which file this process has the port open, as a node has it; None if not."""
        for entry in Path("/proc/self/fd").iterdir():
            try:
                is_it = entry.readlink() == Path(self.device)
            except FileNotFoundError:  # that of the listing
                continue
            if is_it and int(entry.name) != self._near:
                return int(entry.name)
        return None


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[list[Line]]:
    """Three serial lines."""
    made = [Line(tmp_path, name) for name in ("a", "b", "c")]
    yield made
    for line in made:
        line.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a node file with receivers on these lines."""

    def write(name: str, /, **receivers: Line) -> Path:
        text = '[node]\nname = "bench"\nboard = "raspberrypi/4b"\n'
        text += "".join(RECEIVER.format(id, line.port) for id, line in receivers.items())
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def wait_for(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


def hears(runtime: Runtime, id: str, line: Line, altitude_m: float) -> None:
    """Let a receiver tell its position, and see that it arrives."""
    sentence = SENTENCE.format(altitude_m).encode()
    checksum = reduce(xor, sentence)
    os.write(line.far, b"$%s*%02X\r\n" % (sentence, checksum))
    altitude = runtime.devices[id].readings["altitude"]
    wait_for(lambda: altitude.peek_sample().value == altitude_m, f"the position of {id}")


@pytest.fixture
def start() -> Iterator[Callable[[Plan], tuple[Runtime, Reconfiguration]]]:
    """Give a function that starts a node on the ports of this computer."""
    clock = SystemClock()
    backend, started = LinuxBackend(clock), list[Runtime]()

    def start(plan: Plan) -> tuple[Runtime, Reconfiguration]:
        runtime = assemble(plan, backend, clock, Runtime)
        change = Reconfiguration(runtime, plan, backend)
        runtime.boot()
        started.append(runtime)
        return runtime, change

    yield start
    for runtime in started:
        runtime.shutdown()
    backend.close()


def test_one_port_is_exchanged(
    lines: list[Line],
    write: Callable[..., Path],
    start: Callable[[Plan], tuple[Runtime, Reconfiguration]],
) -> None:
    """A device on another port leaves the old one and opens the new one; that of another device
    stays open: its link is gone, so that nobody could open it again. The same on the way back."""
    one, two, three = lines
    old = make_plan(write("old.toml", steady=one, moved=two))
    new = make_plan(write("new.toml", steady=one, moved=three))
    runtime, change = start(old)
    hears(runtime, "steady", one, 400.5)
    hears(runtime, "moved", two, 401.5)
    steady, file = runtime.devices["steady"], one.opened()
    assert file is not None
    one.link.unlink()
    change.carry_out(new)
    assert (two.opened(), three.opened() is not None) == (None, True)
    hears(runtime, "moved", three, 402.5)
    hears(runtime, "steady", one, 403.5)
    change.carry_out(old, back=True)
    assert (three.opened(), two.opened() is not None) == (None, True)
    hears(runtime, "moved", two, 404.5)
    hears(runtime, "steady", one, 405.5)
    assert runtime.devices["steady"] is steady
    assert one.opened() == file


def test_the_plan_says_so_and_opens_nothing(lines: list[Line], write: Callable[..., Path]) -> None:
    """`edgekernel plan` names the device that is replaced and the key, and opens no port."""
    one, two, three = lines
    old = write("old.toml", steady=one, moved=two)
    new = write("new.toml", steady=one, moved=three)
    for line in lines:
        line.link.unlink()
    done = CliRunner().invoke(main, ["plan", str(old), str(new), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    (device,) = found["devices"]
    assert (device["device"], device["action"]) == ("moved", "replace")
    assert [each["key"] for each in found["keys"]] == ["devices.moved.port"]
    assert [line.opened() for line in lines] == [None, None, None]
