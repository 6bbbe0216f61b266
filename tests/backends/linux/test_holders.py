"""Which processes have GPIO lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edgekernel.backends.linux.holders import gpio_processes


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
