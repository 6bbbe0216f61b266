"""Who has a device file open."""

from __future__ import annotations

from pathlib import Path

from edgekernel.backends.linux.holders import holders_of


def _process(proc: Path, pid: int, command: str, *files: str) -> None:
    (proc / str(pid) / "fd").mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(command + "\n")
    for number, file in enumerate(files):
        (proc / str(pid) / "fd" / str(number)).symlink_to(file)


def test_named_in_order(tmp_path: Path) -> None:
    """Processes are named in the order of their ids, three at most, under the file's real name."""
    device = tmp_path / "ttyUSB0"
    device.touch()
    by_id = tmp_path / "usb-adapter"
    by_id.symlink_to(device)
    proc = tmp_path / "proc"
    (proc / "sys").mkdir(parents=True)
    _process(proc, 1000, "screen", "/dev/null", str(device))
    _process(proc, 7, "init", "/dev/null")
    _process(proc, 812, "minicom", str(device))
    assert holders_of(str(by_id), proc) == "pid 812 (minicom), pid 1000 (screen)"
    _process(proc, 2000, "cat", str(device))
    _process(proc, 2001, "cat", str(device))
    assert holders_of(str(device), proc).endswith("pid 2000 (cat) and 1 more")


def test_this_process(tmp_path: Path) -> None:
    """The process that asks is named as such; without a holder nothing is said."""
    device = tmp_path / "file"
    device.touch()
    assert holders_of(str(device)) == ""
    with device.open():
        assert holders_of(str(device)) == "this process"
    assert holders_of(str(device), tmp_path / "no-proc") == ""
