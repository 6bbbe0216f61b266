"""Which processes have GPIO lines and device files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edgekernel.backends.linux.holders import file_processes, gpio_processes


def test_who_has_the_chip_open(tmp_path: Path) -> None:
    """A process that has the file open is named by its command and number; this one is not."""
    chip = tmp_path / "gpiochip0"
    chip.touch()
    program = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with (
        chip.open(),
        subprocess.Popen(
            [sys.executable, "-c", program, chip], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other,
    ):
        assert other.stdout is not None
        other.stdout.readline()
        (found,) = gpio_processes(chip)
    assert found.startswith(sys.executable)
    assert found.endswith(f"(process {other.pid})")
    assert gpio_processes(chip) == []


def _process(proc: Path, number: int, command: bytes, *targets: str) -> Path:
    folder = proc / str(number)
    (folder / "fd").mkdir(parents=True)
    for fd, target in enumerate(targets):
        (folder / "fd" / str(fd)).symlink_to(target)
    (folder / "cmdline").write_bytes(command)
    return folder


def test_who_holds_a_line(tmp_path: Path) -> None:
    """Processes that hold a line of any chip are named too; of others nothing is told."""
    chip = Path("/dev/gpiochip0")
    _process(tmp_path, 1000, b"python3\0lamp.py\0", "/dev/null", "anon_inode:gpio-line")
    _process(tmp_path, 200, b"gpioset\0" + b"x" * 200, "anon_inode:gpio-linehandle")
    _process(tmp_path, 300, b"", "/dev/gpiochip0")
    _process(tmp_path, 400, b"other\0", "/dev/gpiochip1", "anon_inode:[eventfd]")
    _process(tmp_path, os.getpid(), b"we\0", "/dev/gpiochip0")
    (tmp_path / "500").mkdir()
    assert gpio_processes(chip, tmp_path) == [
        f"gpioset {'x' * 72}… (process 200)",
        "unnamed (process 300)",
        "python3 lamp.py (process 1000)",
    ]


def test_who_has_a_device_file(tmp_path: Path) -> None:
    """Processes are named in the order of their numbers, under the real name of the file."""
    device = tmp_path / "ttyUSB0"
    device.touch()
    by_id = tmp_path / "usb-adapter"
    by_id.symlink_to(device)
    proc = tmp_path / "proc"
    _process(proc, 1000, b"screen\0", "/dev/null", str(device))
    _process(proc, 7, b"init\0", "/dev/null")
    _process(proc, 812, b"minicom\0-D\0", str(device))
    assert file_processes(str(by_id), proc) == [
        "minicom -D (process 812)",
        "screen (process 1000)",
    ]
    assert file_processes(str(device), tmp_path / "no-proc") == []


def test_this_process(tmp_path: Path) -> None:
    """The process that asks is named as such while it has the file open."""
    device = tmp_path / "file"
    device.touch()
    assert file_processes(str(device)) == []
    with device.open():
        assert file_processes(str(device)) == ["this process"]
