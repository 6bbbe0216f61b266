"""A Raspberry Pi 3B in QEMU: its own GPIO, I²C and UART, driven by the kernel's drivers for them.

Its firmware and U-Boot are left out: QEMU's model of them gives Linux no network afterwards.
"""

from __future__ import annotations

import json
import socket

from images.test.crash_points import partition
from images.test.machine import OFFSET, Machine

_GPSET0, _GPCLR0, _GPLEV0 = 0x3F20001C, 0x3F200028, 0x3F200034  # BCM2835 ARM Peripherals, 6.1
_REVISION = "a02082"  # Raspberry Pi 3B, as the firmware tells it
# What QEMU does not model: the watchdog would reset it at once, the others wait for minutes.
_WITHOUT = "bcm2835_wdt,vchiq,snd_bcm2835,vc4,cfg80211,bluetooth,hci_uart"
_TREE = f"""
mcopy -n -i card.img@@{OFFSET} ::bcm2837-rpi-3-b.dtb pi.dtb
fdtput -c pi.dtb /system
fdtput -t x pi.dtb /system linux,revision {_REVISION}
fdtput -r pi.dtb /soc/serial@7e201000/bluetooth
"""


class RaspberryPi(Machine):
    """The computer; at its UART is the relay board, at its I²C bus a DS1338 at address 0x68 and a
    TMP105 at 0x48."""

    def prepare(self) -> None:
        """Take kernel and device tree from the card, as its firmware would."""
        begin, _ = partition(self.card, 2)
        slot = f"card.img?offset={begin}"
        self.in_tools(
            f"debugfs -R 'dump /boot/vmlinuz vmlinuz' '{slot}'\n"
            f"debugfs -R 'dump /boot/initrd.img initrd.img' '{slot}'\n{_TREE}"
            "truncate -s 2G card.img"  # QEMU takes powers of two only
        )

    def level(self, line: int) -> bool:
        """Return the level of a line of the header."""
        return bool(int(self._ask(f"readl {_GPLEV0:#x}").split()[1], 0) >> line & 1)

    def drive(self, line: int, high: bool) -> None:
        """Drive a line of the header from outside."""
        self._ask(f"writel {_GPSET0 if high else _GPCLR0:#x} {1 << line:#x}")

    def heat(self, celsius: float) -> None:
        """Let the TMP105 have a temperature, from outside."""
        with socket.socket(socket.AF_UNIX) as line, line.makefile("rw") as told:
            line.settimeout(60)
            line.connect(str(self.folder / "qmp.sock"))
            told.readline()  # its greeting
            setting = {"path": "/machine/peripheral/tmp105", "property": "temperature",
                       "value": round(celsius * 1000)}  # fmt: skip
            for command in (
                {"execute": "qmp_capabilities"}, {"execute": "qom-set", "arguments": setting}
            ):  # fmt: skip
                told.write(json.dumps(command) + "\n")
                told.flush()
                while "event" in (answer := json.loads(told.readline())):
                    pass
                assert "return" in answer, answer

    def _ask(self, command: str) -> str:
        """Return the answer of QEMU's test interface."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(60)
            line.connect(str(self.folder / "qtest.sock"))
            line.sendall(f"{command}\n".encode())
            answer = b""
            while not answer.endswith(b"\n"):
                answer += line.recv(4096)
        assert answer.startswith(b"OK"), answer
        return answer.decode()

    def _hardware(self) -> list[str]:
        options = "ro rootwait fsck.mode=skip systemd.volatile=state rauc.slot=A maxcpus=2"
        return [
            "-M", "raspi3b",
            "-kernel", "/test/vmlinuz", "-initrd", "/test/initrd.img", "-dtb", "/test/pi.dtb",
            "-append", f"root=PARTUUID=edce2026-02 {options} module_blacklist={_WITHOUT}",
            "-device", "usb-net,netdev=net",
            "-device", "ds1338,bus=i2c-bus.1,address=0x68",
            "-device", "tmp105,id=tmp105,bus=i2c-bus.1,address=0x48",
            "-chardev", f"socket,id=line,path={self.inside(self.serial.path)}",
            "-serial", "chardev:line",
            "-serial", f"file:{self.inside(self.console)}",
            "-qtest", "unix:/test/qtest.sock,server=on,wait=off",
            "-qmp", "unix:/test/qmp.sock,server=on,wait=off",
        ]  # fmt: skip

    def _card(self, log_writes: bool) -> list[str]:
        assert not log_writes, "its card cannot be logged"
        return ["-drive", f"if=sd,format=raw,file={self.inside(self.card)}"]
