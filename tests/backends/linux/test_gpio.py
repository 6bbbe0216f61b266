"""Lines of Linux: the order of what reaches lgpio, and the texts of what goes wrong."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel.backends.backend import Backend
from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError, BusyError, ClosedError
from edgekernel.hal import Edge, Pull
from edgekernel.hal.address import LineAddress
from tests.backends.linux.conftest import LgpioError, Machine

LAMP = LineAddress("GPIO17", "pinctrl-bcm2711", 17)
BUTTON = LineAddress("GPIO27", "pinctrl-bcm2711", 27)


@pytest.fixture
def backend(machine: Machine) -> Iterator[Backend]:
    """A LinuxBackend on the stand-in."""
    made = LinuxBackend(SystemClock(), folder=machine.folder)
    yield made
    made.close()
    assert machine.open_chips == []


@pytest.mark.parametrize("level", [False, True])
def test_output_claims_with_level(backend: Backend, machine: Machine, level: bool) -> None:
    """P8: opening an output is one claim that carries the level, on the chip of that label."""
    output = backend.digital_output(LAMP)
    assert machine.calls == []
    output.open(level)
    assert machine.calls == [("claim_output", 1, 17, int(level))]
    assert output.read() is level


def test_output_writes_and_frees(backend: Backend, machine: Machine) -> None:
    """Writing only writes, and closing only frees: the line never becomes an input."""
    output = backend.digital_output(LAMP)
    output.open(True)
    output.write(False)
    output.write(True)
    output.close()
    output.close()
    assert machine.calls[1:] == [("write", 1, 17, 0), ("write", 1, 17, 1), ("free", 1, 17)]
    assert machine.levels[1, 17] == 1


def test_output_opens_again(backend: Backend, machine: Machine) -> None:
    """A line that was closed can be opened again, also by another object."""
    first, second = backend.digital_output(LAMP), backend.digital_output(LAMP)
    for output in (first, second, first):
        output.open(True)
        output.close()
    assert [call[0] for call in machine.calls] == ["claim_output", "free"] * 3


def test_backend_close_frees(backend: Backend, machine: Machine) -> None:
    """Closing the backend frees every line as it is and closes the chips."""
    backend.digital_output(LAMP).open(True)
    backend.digital_input(BUTTON).open(Pull.UP)
    del machine.calls[:]
    backend.close()
    assert sorted(machine.calls, key=str) == [("free", 1, 17), ("free", 1, 27)]
    assert machine.open_chips == []


def test_output_closed(backend: Backend) -> None:
    """Before open and after close, reading and writing raise ClosedError with the line."""
    output = backend.digital_output(LAMP)
    with pytest.raises(ClosedError, match="GPIO17 on pinctrl-bcm2711: not open"):
        output.write(True)
    output.open(True)
    output.close()
    with pytest.raises(ClosedError, match="GPIO17"):
        output.read()


def test_equal_offsets_of_two_chips(backend: Backend, machine: Machine) -> None:
    """Lines of the same offset on two chips are two lines."""
    backend.digital_output(LAMP).open(True)
    backend.digital_output(LineAddress("EXP17", "raspberrypi-exp-gpio", 17)).open(False)
    assert machine.levels == {(1, 17): 1, (0, 17): 0}


def test_busy_line(backend: Backend, machine: Machine) -> None:
    """A line that somebody else holds is busy, the text says who, and nothing is kept."""
    machine.consumers[1, 17] = "spi0 CS1"
    output = backend.digital_output(LAMP)
    with pytest.raises(BusyError) as raised:
        output.open(True)
    assert str(raised.value) == (
        "GPIO17 on pinctrl-bcm2711: in use by another process or a kernel driver "
        "(consumer 'spi0 CS1'); stop that one or choose another line"
    )
    machine.consumers.clear()
    output.open(True)


def test_busy_in_this_process(backend: Backend, machine: Machine) -> None:
    """A line that is open in this process is busy, and its user keeps it untouched."""
    backend.digital_output(LAMP).open(True)
    with pytest.raises(BusyError, match="GPIO17 on pinctrl-bcm2711: already open"):
        backend.digital_input(LAMP).open(Pull.NONE)
    assert machine.calls == [("claim_output", 1, 17, 1)]


def test_refused_line(backend: Backend) -> None:
    """Any other refusal is broken, with chip, file and lgpio's own words."""
    with pytest.raises(BrokenError, match=r"GPIO99 on pinctrl-bcm2711 \(.*/gpiochip1, line 99\): "):
        backend.digital_output(LineAddress("GPIO99", "pinctrl-bcm2711", 99)).open(True)


def test_unknown_label(backend: Backend, machine: Machine) -> None:
    """An unknown chip is broken, and the text lists the labels there are."""
    with pytest.raises(BrokenError) as raised:
        backend.digital_output(LineAddress("GPIO17", "pinctrl-rp1", 17)).open(True)
    assert str(raised.value) == (
        "GPIO17: no GPIO chip is called 'pinctrl-rp1'; found: pinctrl-bcm2711, raspberrypi-exp-gpio"
    )
    assert machine.open_chips == []


def test_linked_number(backend: Backend, machine: Machine) -> None:
    """A second number that is a link to the chip does not make its label ambiguous."""
    machine.labels[4] = "pinctrl-bcm2711"
    (machine.folder / "gpiochip4").symlink_to("gpiochip1")
    backend.digital_output(LAMP).open(True)
    assert machine.calls == [("claim_output", 1, 17, 1)]


def test_ambiguous_label(backend: Backend, machine: Machine) -> None:
    """Two chips of one label are refused, because the wrong line could switch."""
    machine.add_chip(10, "pinctrl-bcm2711")
    with pytest.raises(BrokenError, match=r"gpiochip1, .*gpiochip10\)"):
        backend.digital_output(LAMP).open(True)


def test_no_permission(backend: Backend, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chip that must not be opened is named with its file and the group that is needed."""
    machine.refused.add(1)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BrokenError, match=r"gpiochip1 cannot be opened: no permission.*group gpio"):
        backend.digital_output(LAMP).open(True)


def test_no_chip(tmp_path: Path, machine: Machine) -> None:
    """A machine without GPIO says so."""
    backend = LinuxBackend(SystemClock(), folder=tmp_path / "none")
    with pytest.raises(BrokenError, match="no GPIO chip"):
        backend.digital_output(LAMP).open(True)
    assert machine.calls == []


@pytest.mark.parametrize(("pull", "flag"), [(Pull.NONE, 128), (Pull.UP, 32), (Pull.DOWN, 64)])
def test_input_pull(backend: Backend, machine: Machine, pull: Pull, flag: int) -> None:
    """Opening an input is one claim that carries the pull."""
    line = backend.digital_input(BUTTON)
    line.open(pull)
    assert machine.calls == [("claim_input", 1, 27, flag)]
    machine.levels[1, 27] = 1
    assert line.read() is True


def test_edges(backend: Backend, machine: Machine) -> None:
    """Each edge arrives with its level and the kernel's time; none arrives after close."""
    edges: list[Edge] = []
    line = backend.digital_input(BUTTON)
    line.open(Pull.UP, edges.append)
    assert machine.calls[1:] == [("claim_alert", 1, 27, 3, 32)]
    machine.edge(1, 27, 0, 1_500_000_001)
    machine.edge(1, 27, 1, 1_500_000_002)
    assert edges == [Edge(False, 1_500_000_001), Edge(True, 1_500_000_002)]
    line.close()
    machine.edge(1, 27, 0, 1_500_000_003)
    assert len(edges) == 2
    assert machine.calls[2:] == [("cancel", 1, 27), ("free", 1, 27)]


def test_edge_handler_raises(
    backend: Backend, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """An edge handler that raises is logged with the line, and does not end lgpio's thread."""

    def fail(edge: Edge) -> None:
        raise ZeroDivisionError

    backend.digital_input(BUTTON).open(Pull.UP, fail)
    machine.edge(1, 27, 1, 1)
    assert "GPIO27: what was called for its edge raised" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_watching_fails(
    backend: Backend, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a line cannot be watched, it is freed and the error names it."""

    def refuse(*_: object) -> None:
        raise LgpioError("no memory")

    monkeypatch.setattr("lgpio.gpio_claim_alert", refuse)
    with pytest.raises(BrokenError, match=r"GPIO27 on pinctrl-bcm2711 .*: no memory"):
        backend.digital_input(BUTTON).open(Pull.UP, print)
    assert machine.calls[-1] == ("free", 1, 27)


@pytest.mark.skipif(importlib.util.find_spec("lgpio") is None, reason="lgpio is not installed")
def test_real_lgpio_leaves_no_trace(tmp_path: Path) -> None:
    """The real lgpio, imported by the backend, leaves no pipe, directory or variable behind."""
    program = (
        "import os\n"
        "from edgekernel.backends.linux import LinuxBackend\n"
        "from edgekernel.core.clock import SystemClock\n"
        "from edgekernel.hal.address import LineAddress\n"
        "try:\n"
        "    LinuxBackend(SystemClock()).digital_output(LineAddress('X', 'none', 1)).open(True)\n"
        "except OSError as error:\n"
        "    import sys\n"
        "    assert 'lgpio' in sys.modules\n"
        "    print(type(error).__name__, os.getcwd(), os.listdir(), os.environ.get('LG_WD'))\n"
    )
    temporary = tmp_path / "temporary"
    working = tmp_path / "working"
    temporary.mkdir()
    working.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=working,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"BrokenError {working} [] None\n"
    assert list(temporary.iterdir()) == []


def test_import_is_light() -> None:
    """Importing and making the backend loads none of its libraries."""
    program = (
        "import sys\n"
        "from edgekernel.backends.linux import LinuxBackend\n"
        "from edgekernel.core.clock import SystemClock\n"
        "LinuxBackend(SystemClock())\n"
        "print({'gpiozero', 'lgpio', 'serial', 'smbus2'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
