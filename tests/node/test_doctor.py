"""The examination of a computer, on folders that stand for its root."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekernel.node import doctor, examination, make_plan
from edgekernel.node.doctor import examine
from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine
from edgekernel.node.packs import load_board
from tests.backends.linux.conftest import Machine as Chips
from tests.backends.linux.conftest import make_lgpio
from tests.node.computers import computer, lay, lay_pi4

NodeFile = Callable[..., Path]

USER, OTHER_USER, NO_GROUP = 4242, 4243, 4244
NODE = """
[devices.fan]
driver = "relay"
pin = "GPIO17"

[devices.room]
driver = "bme280"
bus = "i2c1"

[devices.position]
driver = "gps"
port = "uart0"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Raspberry Pi 4 in good order: everything is there and belongs to the user's group."""
    root = tmp_path / "root"
    lay_pi4(root)
    (root / "dev").mkdir()
    for name in ("i2c-1", "ttyS0"):
        (root / "dev" / name).touch(mode=0o660)
        os.chmod(root / "dev" / name, 0o660)
    (root / "dev/serial0").symlink_to("ttyS0")
    chips = Chips(root / "dev")
    chips.add_chip(0, "pinctrl-bcm2711")
    monkeypatch.setitem(sys.modules, "lgpio", make_lgpio(chips))
    return root


@pytest.fixture
def node(node_file: NodeFile) -> Path:
    """A node file with a line, a bus and a port."""
    return node_file(NODE, board="raspberrypi/4b")


def sources() -> list[Path]:
    """The files of the examination that find something."""
    files = [Path(doctor.__file__), *Path(examination.__file__).parent.glob("*.py")]
    return [each for each in files if "Finding(" in each.read_text(encoding="utf-8")]


def user_in_group(root: Path) -> Machine:
    """The machine as a user sees it who is in the group of the device files."""
    return computer(root, uid=USER, gids=frozenset({(root / "dev/i2c-1").stat().st_gid}))


def wrong(found: list[Finding]) -> list[Finding]:
    """The findings that are not in order."""
    return [finding for finding in found if finding.level is not Level.OK]


def test_in_good_order(root: Path, node: Path) -> None:
    """On a board where everything is there and allowed, every finding is ok."""
    found = examine(user_in_group(root), None, make_plan(node))
    assert wrong(found) == []
    assert [finding.subject for finding in found[1:]] == [
        "board", "i2c1 (/dev/i2c-1)", "uart0 (/dev/serial0)", "GPIO chip pinctrl-bcm2711",
        "i2c1 speed", "levels after the agent (pinctrl-bcm2711)", "/boot/firmware/config.txt",
        "power supply", "processor", "temperature (cpu-thermal)", "memory", "disk (/)",
        "SD card mmcblk0", "time", "real-time clock", "hardware watchdog",
    ]  # fmt: skip


def test_bus_that_is_not_enabled(root: Path, node: Path) -> None:
    """A bus that is not there comes with the line that switches it on; if that stands in the file
    already, with the advice to reboot."""
    (root / "dev/i2c-1").unlink()
    machine = computer(root, uid=USER, gids=frozenset({(root / "dev/ttyS0").stat().st_gid}))
    (finding,) = wrong(examine(machine, None, make_plan(node)))
    assert (finding.level, finding.text) == (Level.ERROR, "not there")
    assert finding.fix == "put dtparam=i2c_arm=on into /boot/firmware/config.txt and reboot"
    (root / "boot/firmware/config.txt").write_text("  dtparam=i2c_arm=on\n")
    (finding,) = wrong(examine(machine, None, make_plan(node)))
    assert finding.fix.startswith("dtparam=i2c_arm=on stands in /boot/firmware/config.txt: reboot")


def test_user_without_the_group(root: Path, node: Path) -> None:
    """A file that the user may not use comes with the group that may and the command for it."""
    machine = computer(root, uid=OTHER_USER, gids=frozenset({NO_GROUP}))
    bus, port = wrong(examine(machine, None, make_plan(node)))
    assert bus.subject == "i2c1 (/dev/i2c-1)"
    assert bus.text == f"{machine.user} may not use it"
    group = machine.group_of("/dev/i2c-1")
    assert bus.fix == f"sudo usermod -aG {group} {machine.user}, then log in again"
    assert port.subject == "uart0 (/dev/serial0)"


@pytest.mark.parametrize("console", ["ttyS0,115200", "serial0,115200"])
def test_console_on_the_port(root: Path, node: Path, console: str) -> None:
    """A serial console of the kernel on the port is found, by the port's own name or its alias."""
    (root / "proc/cmdline").write_text(f"console={console} console=tty1\n")
    (finding,) = wrong(examine(user_in_group(root), None, make_plan(node)))
    assert (finding.subject, finding.level) == ("uart0", Level.ERROR)
    assert "cmdline.txt" in finding.fix


@pytest.mark.parametrize("place", ["ttyS0", "/dev/serial0"])
def test_login_on_the_port(root: Path, node: Path, place: str) -> None:
    """A login that waits on the port without a console of the kernel is found; one on another port
    is nobody's concern."""
    lay(root, {"/proc/611/comm": "agetty\n", "/proc/611/cmdline": b"/sbin/agetty\0-o\0tty1\0linux"})
    assert wrong(examine(user_in_group(root), None, make_plan(node))) == []
    words = ("/sbin/agetty", "--keep-baud", "115200,9600", place, "vt220", "")
    lay(root, {"/proc/611/cmdline": "\0".join(words)})
    (finding,) = wrong(examine(user_in_group(root), None, make_plan(node)))
    assert (finding.subject, finding.level) == ("uart0", Level.ERROR)
    assert finding.fix == "sudo systemctl disable --now serial-getty@ttyS0.service"


def test_another_board_than_the_files(root: Path, node: Path) -> None:
    """A node file for another board than this computer is told so, with what to write."""
    (root / "proc/device-tree/compatible").write_bytes(b"raspberrypi,5-model-b\0brcm,bcm2712\0")
    (finding,) = wrong(examine(user_in_group(root), None, make_plan(node)))
    assert "this computer is raspberrypi/5" in finding.text
    assert 'write board = "raspberrypi/5"' in finding.fix


def test_chip_of_another_kernel(root: Path, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPIO chip that the board file names and the kernel has not is told, with those there."""
    chips = Chips(root / "dev")
    chips.add_chip(0, "pinctrl-rp1")
    monkeypatch.setitem(sys.modules, "lgpio", make_lgpio(chips))
    (finding,) = wrong(examine(user_in_group(root), None, make_plan(node)))
    assert finding.subject == "GPIO chip pinctrl-bcm2711"
    assert finding.text == "not there; this computer has: pinctrl-rp1"


def test_chip_that_cannot_be_opened(
    root: Path, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPIO chip that cannot be opened comes with what mends it: the group, a udev rule where no
    group may use it, and else what may keep it from this process."""
    chips = Chips(root / "dev")
    chips.add_chip(0, "pinctrl-bcm2711")
    chips.refused.add(0)
    monkeypatch.setitem(sys.modules, "lgpio", make_lgpio(chips))
    other, file = computer(root, uid=OTHER_USER, gids=frozenset({NO_GROUP})), root / "dev/gpiochip0"
    for machine, mode, text, fix in (
        (other, 0o660, f"{OTHER_USER} may not use it", "sudo usermod -aG "),
        (other, 0o600, f"{OTHER_USER} may not use it", "give it to a group with a udev rule"),
        (user_in_group(root), 0o660, "cannot be opened: lgpio refuses it", "sudo dmesg says"),
    ):
        file.chmod(mode)
        (chip,) = [
            each
            for each in wrong(examine(machine, None, make_plan(node)))
            if each.subject == "/dev/gpiochip0"
        ]
        assert (chip.level, chip.text) == (Level.ERROR, text)
        assert chip.fix.startswith(fix)


def test_without_a_node_file_what_is_off_is_a_warning(root: Path) -> None:
    """Without a node file nothing is needed: what the board offers and is off is a warning."""
    found = wrong(examine(user_in_group(root), load_board("raspberrypi/4b"), None))
    assert {finding.level for finding in found} == {Level.WARNING}
    assert [finding.subject for finding in found if finding.text == "not there"] == [
        "spi0.0 (/dev/spidev0.0)",
        "spi0.1 (/dev/spidev0.1)",
    ]


def test_what_is_there_by_choice(root: Path) -> None:
    """Without a node file one finding names the further buses that are off; those that are on are
    looked at like the others."""
    (root / "dev/i2c-3").touch(mode=0o600)
    found = examine(user_in_group(root), load_board("raspberrypi/4b"), None)
    (off,) = [finding for finding in found if finding.subject == "further buses"]
    assert off.level is Level.OK
    assert off.text.startswith("off: i2c0, i2c4, i2c5, i2c6, uart2, ")
    assert off.fix == "edgekernel board show raspberrypi/4b says what switches each of them on"
    assert "i2c3 (/dev/i2c-3)" in {finding.subject for finding in found}


def test_overlay_that_a_node_needs(root: Path, node_file: NodeFile) -> None:
    """A bus that a node file uses is needed, and its overlay is what mends it."""
    (root / "boot/firmware/config.txt").write_text("dtoverlay=i2c3\n")
    plan = make_plan(node_file(NODE.replace("i2c1", "i2c4"), board="raspberrypi/4b"))
    (finding,) = wrong(examine(user_in_group(root), None, plan))
    assert (finding.level, finding.subject) == (Level.ERROR, "i2c4 (/dev/i2c-4)")
    assert finding.fix == "put dtoverlay=i2c4 into /boot/firmware/config.txt and reboot"


def test_levels_that_float_after_the_agent(root: Path, node: Path, node_file: NodeFile) -> None:
    """A kernel that lets outputs go is a warning for a node that has some, and for no other."""
    (root / "sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs").write_text("N\n")
    (finding,) = wrong(examine(user_in_group(root), None, make_plan(node)))
    assert finding.subject == "levels after the agent (pinctrl-bcm2711)"
    button = node_file('[devices.bell]\ndriver = "button"\npin = "GPIO4"\n', board="raspberrypi/4b")
    assert wrong(examine(user_in_group(root), None, make_plan(button))) == []


def test_root_is_warned(root: Path, node: Path) -> None:
    """An agent that would run as root is advised against."""
    machine = computer(root, uid=0, gids=frozenset())
    (finding,) = wrong(examine(machine, None, make_plan(node)))
    assert (finding.level, finding.subject) == (Level.WARNING, "user")


def test_no_board_at_all(root: Path) -> None:
    """A computer without a device tree, and nothing named: that is the one error."""
    (root / "proc/device-tree/compatible").unlink()
    (finding,) = wrong(examine(user_in_group(root), None, None))
    assert "no board that is known here (no device tree)" in finding.text


def test_the_computer_is_looked_at_whatever_the_board(root: Path) -> None:
    """What a computer says of its supply, disk and time is looked at on an unknown board too."""
    (root / "proc/device-tree/compatible").unlink()
    found = examine(user_in_group(root), None, None)
    assert {"power supply", "memory", "disk (/)", "time"} <= {each.subject for each in found}


def test_the_data_folder(root: Path, node_file: NodeFile) -> None:
    """Of a node that keeps something the disk of its data folder counts, there or not yet."""
    node = node_file(NODE, board="raspberrypi/4b")
    node.write_text(node.read_text().replace("[node]", '[node]\ndata = "/var/lib/bench"'))
    subjects = [each.subject for each in examine(user_in_group(root), None, make_plan(node))]
    assert "disk (/var/lib/bench)" in subjects


def test_a_computer_of_which_nothing_can_be_read(tmp_path: Path, node: Path) -> None:
    """Files that are not there or make no sense are findings at most, each with what mends it, and
    never an exception."""
    empty = tmp_path / "empty"
    empty.mkdir()

    def look() -> None:
        found = wrong(examine(computer(empty, quality="unknown"), None, make_plan(node)))
        assert found
        assert [each for each in found if not each.fix] == []

    look()
    lay_pi4(empty)
    for file in empty.rglob("*"):
        if file.is_file() and file.name != "compatible":
            file.write_bytes(b"\xff\x00 nonsense \n" * 3)
    look()
    for file in [each for each in empty.rglob("*") if each.is_file()]:
        file.unlink()
        file.mkdir()  # reading a folder fails as an unreadable file does, for root too
    look()


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_what_is_not_right_has_a_fix(path: Path) -> None:
    """In every examination, each finding that may be anything but ok says what mends it."""
    found = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding"
    ]
    assert found
    for call in found:
        given = call.args[3:] + [each.value for each in call.keywords if each.arg == "fix"]
        if ast.unparse(call.args[0]) != "Level.OK":
            assert given, f"{path.name}, line {call.lineno}: no fix"
            assert ast.unparse(given[0]) not in ("''", "None"), f"line {call.lineno}: an empty fix"
