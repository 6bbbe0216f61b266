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
    """A line that a kernel driver holds is busy, the text says which, and nothing is kept."""
    machine.consumers[1, 17] = "spi0 CS1"
    output = backend.digital_output(LAMP)
    with pytest.raises(BusyError) as raised:
        output.open(True)
    chip = machine.folder / "gpiochip1"
    assert str(raised.value) == (
        f"GPIO17 on pinctrl-bcm2711 ({chip}, line 17): in use (consumer 'spi0 CS1') by a kernel "
        "driver, such as an overlay of config.txt brings, or by another user's program "
        f"(sudo fuser -v {chip} names it). Stop that one or choose another line"
    )
    machine.consumers.clear()
    output.open(True)


def test_busy_past_edgekernel(backend: Backend, machine: Machine) -> None:
    """A line that lgpio holds, with no other program to be seen, may be this program's own."""
    machine.consumers[1, 17] = "lg"
    with pytest.raises(BusyError, match=r"\(consumer 'lg'\) by this program itself, past edge"):
        backend.digital_output(LAMP).open(True)


@pytest.mark.parametrize("level", [True, None])
def test_busy_by_a_process(backend: Backend, machine: Machine, level: bool | None) -> None:
    """A line that another program holds is busy, and the text names that program."""
    machine.consumers[1, 17] = "lg"
    program = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, machine.folder / "gpiochip1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(BusyError) as raised:
            backend.digital_output(LAMP).open(level)
    assert "line 17): in use (consumer 'lg'); GPIO lines are held by " in str(raised.value)
    assert f"(process {other.pid})" in str(raised.value)


def test_busy_in_this_process(backend: Backend, machine: Machine) -> None:
    """A line that is open in this process is busy, and its user keeps it untouched."""
    backend.digital_output(LAMP).open(True)
    with pytest.raises(BusyError, match="GPIO17 on pinctrl-bcm2711: already open"):
        backend.digital_input(LAMP).open(Pull.NONE)
    assert machine.calls == [("claim_output", 1, 17, 1)]


def test_refused_line(backend: Backend, machine: Machine) -> None:
    """Any other refusal is broken, with chip, file and lgpio's own words."""
    machine.refusal = "unexpected error"
    with pytest.raises(
        BrokenError,
        match=r"GPIO17 on pinctrl-bcm2711 \(.*/gpiochip1, line 17\): unexpected error",
    ):
        backend.digital_output(LAMP).open(True)


def test_no_such_line(backend: Backend, machine: Machine) -> None:
    """A line beyond the end of its chip is broken, and the text says how many there are."""
    with pytest.raises(BrokenError, match="no line 54; the chip has 54, counted from 0"):
        backend.digital_output(LineAddress("GPIO54", "pinctrl-bcm2711", 54)).open(True)
    assert machine.calls == []


def test_unknown_label(backend: Backend, machine: Machine) -> None:
    """An unknown chip is broken, and the text lists the labels there are."""
    with pytest.raises(BrokenError) as raised:
        backend.digital_output(LineAddress("GPIO17", "pinctrl-rp1", 17)).open(True)
    assert str(raised.value) == (
        "GPIO17: no GPIO chip is called 'pinctrl-rp1'; found: pinctrl-bcm2711, "
        "raspberrypi-exp-gpio; is this the board that the node file names?"
    )
    assert machine.open_chips == []


@pytest.mark.parametrize("number", [0, 4])
def test_numbers_of_a_pi_5(tmp_path: Path, machine: Machine, number: int) -> None:
    """The header of a Pi 5 is found with the chip numbers of old and of new kernels (new ones
    link the old number to the chip), among the other chips of the board."""
    machine.clear()
    machine.add_chip(number, "pinctrl-rp1")
    for other in range(10, 14):
        machine.add_chip(other, f"gpio-brcmstb@107d5085{other}")
    if number == 0:
        machine.labels[4] = "pinctrl-rp1"
        (machine.folder / "gpiochip4").symlink_to("gpiochip0")
    (machine.folder / "gpiochip9").symlink_to("gone")
    backend = LinuxBackend(SystemClock(), folder=machine.folder)
    backend.digital_output(LineAddress("GPIO17", "pinctrl-rp1", 17)).open(True)
    assert machine.calls == [("claim_output", number, 17, 1)]
    backend.close()


def test_board_with_several_chips(backend: Backend, machine: Machine) -> None:
    """On a board of another maker, lines of several chips are told apart by the chips' labels."""
    machine.clear()
    for number in range(5):
        machine.add_chip(number, f"gpio{number}")
    for number in (4, 1):
        backend.digital_output(LineAddress(f"GPIO{number}_B3", f"gpio{number}", 11)).open(True)
    assert machine.calls == [("claim_output", 4, 11, 1), ("claim_output", 1, 11, 1)]


def test_chip_under_two_numbers(backend: Backend, machine: Machine) -> None:
    """A chip that a container has under two numbers is one chip."""
    machine.labels[4] = "pinctrl-bcm2711"
    os.link(machine.folder / "gpiochip1", machine.folder / "gpiochip4")
    backend.digital_output(LAMP).open(True)
    assert machine.calls == [("claim_output", 1, 17, 1)]


def test_ambiguous_label(backend: Backend, machine: Machine) -> None:
    """Two chips of one label are refused, because the wrong line could switch."""
    machine.add_chip(10, "pinctrl-bcm2711")
    with pytest.raises(BrokenError, match=r"gpiochip1, .*gpiochip10\)"):
        backend.digital_output(LAMP).open(True)


def test_no_permission(backend: Backend, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chip that must not be opened is named with its file, its owner and what to do."""
    machine.refused.add(1)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BrokenError, match=r"gpiochip1 cannot be opened: no permission: it belongs"):
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


def test_settle_time(backend: Backend, machine: Machine) -> None:
    """With a settle time the kernel's own times decide, and lgpio's debouncing is not used."""
    edges: list[Edge] = []
    machine.levels[1, 27] = 1
    line = backend.digital_input(BUTTON)
    line.open(Pull.UP, edges.append, settle_s=0.02)
    hour_ns = SystemClock.monotonic_ns() + 3_600_000_000_000  # no look comes in between
    machine.edge(1, 27, 0, hour_ns)
    machine.edge(1, 27, 1, hour_ns + 19_999_999)
    machine.edge(1, 27, 0, hour_ns + 100_000_000)
    machine.edge(1, 27, 1, hour_ns + 120_000_000)
    assert edges == [Edge(False, hour_ns + 100_000_000)]
    line.close()
    assert [call[0] for call in machine.calls] == ["claim_input", "claim_alert", "cancel", "free"]


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
    with pytest.raises(
        BrokenError, match=r"GPIO27 on pinctrl-bcm2711 .*: no memory; no edges from it"
    ):
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
