"""A computer in QEMU that boots the image as it was built, fenced: it reaches one broker, and what
a test lets it reach besides."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekernel_devices._modbus_units import ModbusUnits

from edgekernel.mqtt import Fleet
from images.test.crash_points import partition
from tests.brokers import HOST, Mosquitto, free_port

BOOT_LIMIT_S = 900.0
"""Emulated, on a busy machine; never a measure of anything."""
GUEST_BROKER = "10.0.2.100"
GUEST_DOWNLOADS = "10.0.2.101"
OFFSET = 4 * 1024 * 1024
"""Of the first partition; genimage.cfg."""


class Machine:
    """An arm64 computer with a card, a USB serial adapter, and a network to `broker` alone, or to
    nothing without one."""

    def __init__(self, folder: Path, tools: Path, image: Path, broker: Mosquitto | None) -> None:
        self.folder = folder
        self._tools = tools
        self.card = folder / "card.img"
        self._reaches = {f"{GUEST_BROKER}:1883": broker.port} if broker is not None else {}
        self._offers: dict[int, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.writes = folder / "writes.log"
        self.console = folder / "console.log"
        self._shell = folder / "shell.sock"
        self._sticks: list[Path] = []
        self.serial = SerialLine(folder / "serial.sock")
        subprocess.run(["cp", "--sparse=always", image, self.card], check=True)

    def put(self, name: str, text: str) -> None:
        """Put a file into edgekernel/ on the card's first partition, without mounting it."""
        source = self.folder / name
        source.write_text(text)
        self._in_tools("mcopy", "-o", "-i", f"{self.inside(self.card)}@@{OFFSET}",
                       self.inside(source), f"::edgekernel/{name}")  # fmt: skip

    def put_folder(self, source: Path) -> None:
        """Put a folder into edgekernel/ on the card, with all that is in it."""
        copy = self.folder / source.name
        shutil.copytree(source, copy, dirs_exist_ok=True)
        self._in_tools("mcopy", "-s", "-o", "-i", f"{self.inside(self.card)}@@{OFFSET}",
                       self.inside(copy), "::edgekernel/")  # fmt: skip

    def read(self, name: str) -> str:
        """Return a file of edgekernel/ on the card's first partition; "" if it is not there."""
        done = self._in_tools("mtype", "-i", f"{self.inside(self.card)}@@{OFFSET}",
                              f"::edgekernel/{name}", check=False)  # fmt: skip
        return done.stdout if done.returncode == 0 else ""

    def remove(self, name: str) -> None:
        """Remove a file of edgekernel/ on the card's first partition."""
        self._in_tools("mdel", "-i", f"{self.inside(self.card)}@@{OFFSET}", f"::edgekernel/{name}")

    def holds(self, text: str) -> bool:
        """Say whether a text is anywhere on the card's first partition, in a file or not."""
        begin, size = partition(self.card, 1)
        with self.card.open("rb") as file:
            file.seek(begin)
            return text.encode() in file.read(size)

    def allow_shell(self) -> None:
        """Let it start with a shell for `shell`: what uboot.env is for, written from outside."""
        (self.folder / "variables").write_text("extra_args=systemd.debug_shell=hvc0\n")
        self._in_tools("mkenvimage", "-s", "0x4000", "-o", "/test/uboot.env", "/test/variables")
        self._in_tools("mcopy", "-o", "-i", f"{self.inside(self.card)}@@{OFFSET}",
                       "/test/uboot.env", "::uboot.env")  # fmt: skip

    def plug_in(self, *files: Path) -> None:
        """Plug in a stick with these files of the folder, before it is switched on."""
        stick = self.folder / "stick.img"
        size = sum(each.stat().st_size for each in files) + 32 * 2**20
        inside = self.inside(stick)
        self._in_tools("truncate", "-s", f"{size // 2**20}M", inside)
        self._in_tools("mkfs.vfat", "-n", "STICK", inside)
        self._in_tools("mcopy", "-i", inside, *map(self.inside, files), "::")
        if stick not in self._sticks:
            self._sticks.append(stick)

    def plug_in_disk(self, disk: Path) -> None:
        """Plug in a copy of a whole disk, before it is switched on."""
        self._sticks.append(Path(shutil.copy(disk, self.folder)))

    def let_download(self, port: int) -> None:
        """Let it reach a web server here as GUEST_DOWNLOADS, before it is switched on."""
        self._reaches[f"{GUEST_DOWNLOADS}:80"] = port

    def offer(self, port: int) -> int:
        """Return the port of this computer's loopback interface by which one of its ports is
        reached, when it is switched on."""
        return self._offers.setdefault(port, free_port())

    def in_tools(self, script: str) -> None:
        """Run shell text in the tools root, in the folder."""
        self._in_tools("sh", "-euc", f"cd /test\n{script}")

    def shell(self, command: str, limit_s: float = 120.0) -> str:
        """Return what a command says in the machine's shell. Fails if it fails, or takes long."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(limit_s)
            line.connect(str(self._shell))
            mark = f"END{time.monotonic_ns()}"
            echo = f"echo {mark[:3]}''{mark[3:]}"
            line.sendall(f"stty -echo; {echo}; ({command}) 2>&1; {echo} $?\n".encode())
            said = b""
            while re.search(mark.encode() + rb" \d+\r?\n", said) is None:
                data = line.recv(65536)
                assert data, f"{command}: the machine has gone, after {said!r}"
                said += data
        text, _, code = said.decode(errors="replace").replace("\r", "").rpartition(f"{mark} ")
        assert code.split()[0] == "0", f"{command}: {text}"
        return text.partition(f"{mark}\n")[2]

    def start(self, *, log_writes: bool = False) -> None:
        """Switch it on; what it writes to its card is logged in the file `writes` if wanted."""
        command = [
            *self._chroot(),
            "qemu-system-aarch64", "-accel", "tcg,thread=multi", "-nographic", "-nodefaults",
            *self._network(), *self._hardware(), *self._card(log_writes),
        ]  # fmt: skip
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)

    def _network(self) -> list[str]:
        forward = Path(__file__).with_name("forward.py")
        shutil.copy(forward, self.folder)
        carry = f"python3 {self.inside(self.folder / forward.name)}"
        guest = [f"guestfwd=tcp:{end}-cmd:{carry} {port}" for end, port in self._reaches.items()]
        host = [f"hostfwd=tcp:{HOST}:{here}-:{port}" for port, here in self._offers.items()]
        return ["-netdev", ",".join(["user,id=net,restrict=on", *guest, *host])]

    def _hardware(self) -> list[str]:
        return [
            "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024",
            "-bios", "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
            "-device", "virtio-net-pci,netdev=net,romfile=",
            "-device", "virtio-rng-pci",
            "-device", "i6300esb", "-action", "watchdog=reset",
            "-device", "qemu-xhci",
            "-chardev", f"socket,id=line,path={self.inside(self.serial.path)}",
            "-device", "usb-serial,chardev=line,always-plugged=on",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=shell,server=on,wait=off,path={self.inside(self._shell)}",
            "-device", "virtconsole,chardev=shell",
            *self._plugged_in(),
            "-serial", f"file:{self.inside(self.console)}",
        ]  # fmt: skip

    def cut_power(self) -> None:
        """Switch it off without a word."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        """End it."""
        self.cut_power()
        self.serial.close()

    def check(self) -> None:
        """Fail if QEMU has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError((self.folder / "qemu.log").read_text())

    def said(self) -> str:
        """Return what it has written on its console."""
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def _card(self, log_writes: bool) -> list[str]:
        card = self.inside(self.card)
        device = ["-device", "virtio-blk-pci,drive=card"]
        if not log_writes:
            drive = f"if=none,id=card,format=raw,cache=writethrough,file={card}"
            return ["-drive", drive, *device]
        self.writes.touch()
        log = f"log.driver=file,log.filename={self.inside(self.writes)},log-super-update-interval=1"
        file = f"file.driver=file,file.filename={card}"
        return ["-blockdev", f"driver=blklogwrites,node-name=card,{file},{log}", *device]

    def _plugged_in(self) -> list[str]:
        options = []
        for stick in self._sticks:
            drive = f"if=none,id={stick.stem},format=raw,readonly=on,file={self.inside(stick)}"
            options += ["-drive", drive, "-device", f"virtio-blk-pci,drive={stick.stem}"]
        return options

    def _chroot(self) -> list[str]:
        script = (
            f"mount --rbind /dev {self._tools}/dev && mount -t proc proc {self._tools}/proc && "
            f"mkdir -p {self._tools}/test && mount --bind {self.folder} {self._tools}/test && "
            f'exec chroot {self._tools} "$@"'
        )
        # Whoever ends these tests, however, ends the machine.
        alone = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]
        return [*alone, "sh", "-c", script, "sh"]

    def _in_tools(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self._chroot(), *command], check=False, capture_output=True, text=True, timeout=120
        )
        assert not (check and done.returncode), f"{command}: {done.stdout}{done.stderr}"
        return done

    def inside(self, path: Path) -> str:
        """Return the name that a file of the folder has in the tools root."""
        return f"/test/{path.relative_to(self.folder)}"


class Unwatched(Machine):
    """A computer without a watchdog, which would restart one that is emulated slowly."""

    def _hardware(self) -> list[str]:
        watchdog = ["-device", "i6300esb", "-action", "watchdog=reset"]
        options = super()._hardware()
        at = options.index(watchdog[1]) - 1
        assert options[at : at + len(watchdog)] == watchdog
        return options[:at] + options[at + len(watchdog) :]


class SerialLine:
    """What is plugged into the adapter: a relay board that speaks Modbus RTU."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.units = ModbusUnits()
        self.changes: list[tuple[float, bool]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def pump(self) -> bool:
        """Whether the pump at coil 3 is on."""
        return bool(self.units.coil.get(3, 0))

    def close(self) -> None:
        """End it."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line:
                self._talk(line)

    def _talk(self, line: socket.socket) -> None:
        while True:
            try:
                data = line.recv(256)
                if not data:
                    return
                before = self.pump
                self.units.received(data, time.monotonic())
                if self.pump is not before:
                    self.changes.append((time.monotonic(), self.pump))
                line.sendall(self.units.due(time.monotonic() + 1))
            except OSError:
                return


@contextmanager
def alone(machine: Machine) -> Iterator[None]:
    """Let no new agent start within: whatever makes the outputs safe then is not the next one. At
    the end the one before must have ended, and been cleaned up after; then the next one starts."""
    folder = "/run/systemd/system/edgekernel.service.d"
    machine.shell(
        f"mkdir -p {folder}; printf '[Service]\\nRestartSec=1h\\n' >{folder}/alone.conf; "
        "systemctl daemon-reload"
    )
    starts = machine.shell("systemctl show -P NRestarts edgekernel")
    yield
    until(lambda: has_ended(machine), machine)
    assert machine.shell("systemctl show -P NRestarts edgekernel") == starts
    machine.shell(
        f"rm {folder}/alone.conf; systemctl daemon-reload; systemctl start --no-block edgekernel"
    )


def has_ended(machine: Machine) -> bool:
    """Say whether the agent has ended, and been cleaned up after, and waits for its next start."""
    return machine.shell("systemctl show -P SubState edgekernel").strip() == "auto-restart"


def is_online(fleet: Fleet, name: str) -> bool:
    """Say whether a node is there."""
    return any(node.name == name and node.online for node in fleet.nodes())


def until(holds: Callable[[], bool], machine: Machine, limit_s: float = BOOT_LIMIT_S) -> None:
    """Wait until something holds; show the console if it does not."""
    end = time.monotonic() + limit_s
    while not holds():
        machine.check()
        assert time.monotonic() < end, machine.said()[-4000:]
        time.sleep(0.2)


def newest(cache: Path, name: str) -> Path:
    """Return the newest result of a stage of the build."""
    found = sorted(cache.glob(f"{name}-*"), key=os.path.getmtime)
    assert found, f"there is no {name} in {cache}: run make image first"
    return found[-1]
