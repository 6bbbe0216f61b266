"""The tools root and the packages of the image, from Debian."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from images.build.run import ENVIRONMENT, BuildError, Tools, run

SUITE = "trixie"
COMPONENTS = "main,non-free-firmware"
BOOT_PACKAGES = ("raspi-firmware", "u-boot-rpi")
"""Not installed: their files go to the firmware's partition, which the build fills."""
BUILD_PACKAGES = ("libpython3.13-dev", "libpython3.13-minimal")
"""Not in the image: what a compiler has to know of its Python."""

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_NAME = "edgekernel-aarch64"
# The head of an ELF file for aarch64 (elf.h: EI_CLASS 2, EI_DATA 1, e_type 2 or 3, e_machine 183).
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"

_APT = (
    "--aptopt=APT::Install-Recommends \"false\"",
    "--aptopt=Acquire::Languages \"none\"",
    "--aptopt=Acquire::Retries \"3\"",
)  # fmt: skip
_LEAN = tuple(
    f"--dpkgopt=path-exclude=/usr/share/{name}/*"
    for name in ("man", "doc", "locale", "info", "lintian", "bug")
)

# What is emulated is slow, and what these do is done natively at the end.
_DIVERTED = (
    "/usr/sbin/update-initramfs",
    "/usr/sbin/depmod",
    "/usr/sbin/update-ca-certificates",
    "/usr/bin/py3compile",
    "/usr/bin/py3clean",
)
_DIVERT = f"""
for each in {" ".join(_DIVERTED)}; do
    chroot "$1" dpkg-divert --quiet --local --rename --add "$each"
    ln -sf /bin/true "$1$each"
done
"""
_FINISH = f"""
set -eu
for each in {" ".join(_DIVERTED)}; do
    rm -f "$1$each"
    chroot "$1" dpkg-divert --quiet --local --rename --remove "$each"
done
version=$(ls "$1/lib/modules")
depmod -b "$1" "$version"
cat "$1"/usr/share/ca-certificates/mozilla/*.crt >"$1/etc/ssl/certs/ca-certificates.crt"
for each in "$1"/usr/share/ca-certificates/mozilla/*.crt; do
    name=$(basename "$each" .crt)
    ln -sf "/usr/share/ca-certificates/mozilla/$name.crt" "$1/etc/ssl/certs/$name.pem"
done
chroot "$1" openssl rehash /etc/ssl/certs >/dev/null 2>&1 || true
rm -f "$1"/boot/initrd.img-*
chroot "$1" mkinitramfs -o /boot/initrd.img "$version"
mv "$1/boot/vmlinuz-$version" "$1/boot/vmlinuz"
rm -f "$1"/boot/System.map-* "$1"/boot/config-* "$1"/vmlinuz* "$1"/initrd.img*
"""
_CLEAN = """\
dpkg-query --admindir="$1/var/lib/dpkg" -W -f='${Package}=${Version}\\n' >/out/packages
LC_ALL=C sort -o /out/packages /out/packages
rm -rf "$1"/etc/ssh/ssh_host_* "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/* \\
    "$1"/etc/resolv.conf "$1"/var/lib/systemd/* "$1"/root/.[a-z]* "$1"/etc/*- \\
    "$1"/var/lib/dpkg/*-old
: >"$1/etc/machine-id"
rm -f "$1/var/lib/dbus/machine-id"
"""
_ADD = """
set -eu
cp -r /images/broker/rootfs/. "$1"/
systemctl --root="$1" enable --quiet edgekernel-broker.service
systemctl --root="$1" mask --quiet mosquitto.service
"""
BROKER_SCRIPT = _ADD + _CLEAN

_FETCH = f"""
cd /out
mkdir -p lists/partial boot build
sed 's/ main$/ main non-free-firmware/' /etc/apt/sources.list >sources.list
options="-q -o Dir::Etc::SourceList=/out/sources.list -o Dir::Etc::SourceParts=- \\
    -o Dir::State::Lists=/out/lists -o APT::Architecture=arm64 -o APT::Architectures=arm64 \\
    -o APT::Sandbox::User=root"
apt-get $options update
(cd boot && apt-get $options download {" ".join(BOOT_PACKAGES)})
(cd build && apt-get $options download {" ".join(BUILD_PACKAGES)})
for each in boot/*.deb; do
    dpkg-deb -W --showformat='${{Package}}=${{Version}}\\n' "$each"
done >packages
rm -rf lists sources.list
"""


def read_list(path: Path) -> list[str]:
    """Return the names in a list of packages, without its comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def make_tools(packages: list[str], new: Path, log: Path) -> None:
    """Make the tools root, with mmdebstrap of this computer."""
    if shutil.which("mmdebstrap") is None:
        raise BuildError(
            "mmdebstrap is missing, which unpacks Debian; on Debian and Ubuntu: "
            "sudo apt-get install mmdebstrap"
        )
    include = f"--include={','.join(packages)}"
    command = ["mmdebstrap", "--variant=apt", "--mode=root", *_APT, *_LEAN, include]
    run([*command, SUITE, str(new)], log, environment=ENVIRONMENT)


@contextmanager
def emulation(tools: Path) -> Iterator[None]:
    """Let this computer's kernel run programs for arm64, by the emulator in the tools root."""
    emulator = tools / "usr/bin/qemu-aarch64"
    if not emulator.exists():
        raise BuildError(f"{emulator} is missing: the tools root is damaged; remove {tools}")
    mounted = (_BINFMT / "register").exists()
    if not mounted:
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)], tools.parent / "build.log")
    entry = _BINFMT / _NAME
    if entry.exists():
        entry.write_text("-1")
    (_BINFMT / "register").write_bytes(f":{_NAME}:M::{_MAGIC}:{_MASK}:{emulator}:OCF".encode())
    try:
        yield
    finally:
        entry.write_text("-1")
        if not mounted:
            run(["umount", str(_BINFMT)], tools.parent / "build.log")


def make_rootfs(tools: Tools, packages: list[str], out: Path) -> None:
    """Install the packages of the image for arm64: `rootfs.tar`, and `packages` with versions.

    `out` is /out in the tools root.
    """
    (out / "divert").write_text("#!/bin/sh\n" + _DIVERT)
    (out / "finish").write_text("#!/bin/sh\n" + _FINISH + _CLEAN)
    for name in ("divert", "finish"):
        (out / name).chmod(0o755)
    with emulation(tools.root):
        tools.run(
            "mmdebstrap", "--architectures=arm64", "--variant=required", "--mode=root",
            "--format=tar", f"--components={COMPONENTS}", *_APT, *_LEAN,
            "--essential-hook=/out/divert", "--customize-hook=/out/finish",
            f"--include={','.join(packages)}", SUITE, "/out/rootfs.tar",
        )  # fmt: skip


def age_note(packages: Path, now: float) -> str:
    """Say how old the packages of the image are, and how newer ones are taken.

    `packages` is the list that `make_rootfs` has written, `now` is in seconds since 1970.
    """
    made = packages.stat().st_mtime
    day, days = time.strftime("%Y-%m-%d", time.gmtime(made)), int((now - made) / 86400)
    return (
        f"The packages are those of {day}, {days} days old; Debian may have had security updates "
        "since. Newer ones: make image ARGS=--renew"
    )


def add_broker(tools: Tools, packages: list[str], out: Path) -> None:
    """Install the packages of the broker into what `make_rootfs` has made, which is at /rootfs, and
    lay down its unit: `rootfs.tar` and `packages` as there, and those `added`.
    """
    (out / "finish").write_text("#!/bin/sh\n" + BROKER_SCRIPT)
    (out / "finish").chmod(0o755)
    with emulation(tools.root):
        tools.run(
            "mmdebstrap", "--architectures=arm64", "--variant=custom", "--mode=root",
            "--format=tar", f"--components={COMPONENTS}", *_APT, *_LEAN,
            "--skip=tar-in/mknod", "--setup-hook=tar-in /rootfs/rootfs.tar /",
            "--customize-hook=/out/finish", f"--include={','.join(packages)}", SUITE,
            "/out/rootfs.tar",
        )  # fmt: skip
    tools.shell("LC_ALL=C comm -13 /rootfs/packages /out/packages >/out/added")


def fetch_packages(tools: Tools) -> None:
    """Fetch what is not installed, for arm64: `boot/`, `build/`, and `packages`."""
    tools.shell(_FETCH)
