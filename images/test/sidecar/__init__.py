"""The side-car disk of the tests: simulated hardware for the image's own kernel, beside the image.

Debian's arm64 kernel comes without gpio-sim and i2c-stub, so they are compiled for it as modules,
from the kernel's own source, and carried on a disk of their own: the image stays as it was built.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from images.build.cache import Cache, key_of
from images.build.run import BuildError, Tools

LABEL = "SIDECAR"
SET_UP = Path(__file__).with_name("set-up.sh")

_KERNEL = re.compile(r"^linux-image-((\d+\.\d+)\.\S+)-arm64=(\S+)$", re.MULTILINE)

# The headers are unpacked, not installed: apt would take an arm64 compiler with them. Their
# programs for this computer are in linux-kbuild.
_FETCH = """
cd /out
mkdir -p lists/partial packages
native=$(dpkg --print-architecture)
options="-q -o Dir::State::Lists=/out/lists -o APT::Sandbox::User=root \\
    -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Architectures::=$native"
apt-get $options update
(cd packages && apt-get $options download linux-headers-{name}-arm64={version} \\
    linux-headers-{name}-common={version} linux-kbuild-{name}:$native={version} \\
    linux-source-{series}={version})
rm -rf lists
"""
_SOURCES = "drivers/gpio/gpio-sim.c drivers/i2c/i2c-stub.c kernel/irq/irq_sim.c"
# irq_sim is a part of the kernel where it is wanted; for a module, irq_to_desc is not exported.
_COMPILE = """
cd /out
source=linux-source-{series}
dpkg-deb --fsys-tarfile packages/"$source"_*.deb | tar -xO "./usr/src/$source.tar.xz" |
    xz -dc | tar -x --strip-components=1 $(for each in {sources}; do echo "$source/$each"; done)
mkdir modules sidecar
mv {sources} modules
sed -i 's/irq_to_desc(irqnum)/irq_data_to_desc(irq_get_irq_data(irqnum))/' modules/irq_sim.c
printf '#include <linux/module.h>\\nMODULE_LICENSE("GPL");\\n' >>modules/irq_sim.c
echo 'obj-m := irq_sim.o gpio-sim.o i2c-stub.o' >modules/Kbuild

for each in packages/linux-headers-* packages/linux-kbuild-*; do dpkg-deb -x "$each" headers; done
mkdir -p /usr/lib/linux-kbuild-{name}
mount --bind headers/usr/src /usr/src
mount --bind headers/usr/lib/linux-kbuild-{name} /usr/lib/linux-kbuild-{name}
make -C /usr/src/linux-headers-{name}-arm64 M=/out/modules CONFIG_DEBUG_INFO_BTF_MODULES= modules
cp modules/*.ko /sidecar/set-up.sh sidecar
aarch64-linux-gnu-strip --strip-debug sidecar/*.ko
mke2fs -q -t ext2 -L {label} -d sidecar sidecar.img 4M
rm -rf packages drivers kernel modules sidecar headers
"""


@dataclass(frozen=True)
class Kernel:
    """The kernel of the image: "6.12.118+deb13", "6.12", and the version of its packages."""

    name: str
    series: str
    version: str


def kernel_of(rootfs: Path) -> Kernel:
    """Return the kernel of the packages of an image. Raises BuildError if it is not one."""
    found = _KERNEL.findall((rootfs / "packages").read_text())
    if len(found) != 1:
        raise BuildError(f"{rootfs / 'packages'}: one kernel is expected there, not {len(found)}")
    return Kernel(*found[0])


def make_sidecar(cache: Cache, tools: Path, rootfs: Path) -> Path:
    """Return the side-car disk for the kernel in `rootfs`, made if it is not in the cache.

    Raises BuildError.
    """
    kernel = kernel_of(rootfs)
    words = {**vars(kernel), "sources": _SOURCES, "label": LABEL}
    fetch, compile_ = _FETCH.format(**words), _COMPILE.format(**words)
    log = cache.folder / "sidecar.log"

    def make(new: Path) -> None:
        new.mkdir()
        log.write_bytes(b"")
        work = Tools(tools, {"/out": new, "/sidecar": SET_UP.parent}, log)
        _say(f"fetching source and headers of Debian's kernel {kernel.name} (170 MB) ...")
        try:
            work.shell(fetch)
        except BuildError as error:
            raise BuildError(
                f"side-car: source and headers of the image's kernel (linux {kernel.version}) "
                "could not be fetched. If Debian has a newer one by now, build the image from "
                f"nothing: remove {rootfs} and run make image. {error}"
            ) from error
        _say("compiling gpio-sim and i2c-stub for it ...")
        work.shell(compile_)

    began = time.monotonic()
    made, cached = cache.get("sidecar", key_of(tools.name, fetch, compile_, SET_UP), make)
    _say("cached" if cached else f"{time.monotonic() - began:.0f} s")
    return made / "sidecar.img"


def _say(what: str) -> None:
    print(f"image-test: side-car disk: {what}", flush=True)
