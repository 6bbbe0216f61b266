"""File systems and the disk: from the packages, the overlay and the wheels to files to flash."""

from __future__ import annotations

from images.build.run import Tools

UUIDS = {
    "root": "6f2a1f0e-0000-4000-8000-edce20260001",
    "data": "6f2a1f0e-0000-4000-8000-edce20260002",
    "seed": "6f2a1f0e-0000-4000-8000-edce20260003",
}
"""Fixed, so that two builds are the same. Disks are told apart by where they are, not by these."""

_ROOT = """
cd /out
mkdir root
tar -xf /rootfs/rootfs.tar -C root --numeric-owner --exclude=./dev/*
mkdir -p root/usr/local/lib/python3.13/dist-packages
cp -r /wheels/site/. root/usr/local/lib/python3.13/dist-packages/
cp -r /images/rootfs/. root/
chown -R 0:0 root/etc root/usr/local
install -m 0755 /dev/stdin root/usr/local/bin/edgekernel <<'SCRIPT'
#!/usr/bin/python3
import sys
from edgekernel.cli import main
sys.exit(main())
SCRIPT
install -m 0644 /images/boot/fw_env.config root/etc/fw_env.config
install -m 0644 /keys/keyring.pem root/etc/rauc/keyring.pem
printf 'IMAGE_VERSION=%s\\n' "$version" >>root/etc/os-release
mkdir -p root/boot/firmware root/data
ln -sf ../run/systemd/resolve/stub-resolv.conf root/etc/resolv.conf
systemd-sysusers --root=root
for unit in $(cat /images/units-enabled.txt); do
    systemctl --root=root enable --quiet "$unit"
done
for unit in $(cat /images/units-masked.txt); do
    systemctl --root=root mask --quiet "$unit"
done
find root -name __pycache__ -prune -exec rm -rf {} +
python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash -s root -p / \\
    root/usr/lib/python3 root/usr/lib/python3.13 root/usr/local/lib/python3.13
rm -f root/etc/*- root/etc/.pwd.lock
: >root/etc/machine-id
find root -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
truncate -s 768M root.ext4
options=hash_seed=$uuid_seed,lazy_itable_init=0
mke2fs -q -t ext4 -O ^has_journal -L root -U $uuid_root -E $options -d root root.ext4
rm -rf root
"""

_DISK = """
cd /out
mkdir firmware
for each in /fetched/boot/*.deb; do dpkg-deb -x "$each" packages; done
files=$(find packages -path '*raspi-firmware*' \\( -name 'bootcode.bin' -o -name 'start*.elf' \\
    -o -name 'fixup*.dat' \\))
cp $files firmware/
cp packages/usr/lib/u-boot/rpi_arm64/u-boot.bin firmware/u-boot.bin
mkdir -p trees
tar -xf /rootfs/rootfs.tar -C trees --wildcards './usr/lib/linux-image-*/broadcom/bcm27*' \\
    './usr/lib/linux-image-*/broadcom/bcm2837*'
find trees -name '*.dtb' -exec cp {} firmware/ \\;
cp /images/boot/config.txt firmware/
cp -r /images/firmware/. firmware/
mkimage -q -A arm64 -T script -C none -n edgekernel -d /images/boot/boot.cmd firmware/boot.scr
find firmware -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
truncate -s 128M boot.vfat
mkfs.vfat --invariant -n EDGEKERNEL boot.vfat >/dev/null
cd firmware
find . -mindepth 1 -maxdepth 1 | LC_ALL=C sort | xargs -I{} mcopy -s -m -i ../boot.vfat {} ::
cd ..
mkdir -p data/edgekernel
touch -h -d "@$SOURCE_DATE_EPOCH" data data/edgekernel
truncate -s 256M data.ext4
options=hash_seed=$uuid_seed,lazy_itable_init=0
# Blocks as in a large file system, since it becomes one: it grows to the size of the card.
mke2fs -q -t ext4 -b 4096 -i 16384 -I 256 -L data -U $uuid_data -E $options -d data data.ext4
ln -sf /slot/root.ext4 root.ext4
genimage --config /images/genimage.cfg --inputpath /out --outputpath /out/images \\
    --rootpath /out/data --tmppath /out/tmp >/dev/null
mv images/sdcard.img .
zstd -q -T0 -3 -f sdcard.img -o sdcard.img.zst
rm -rf firmware packages trees boot.vfat data data.ext4 root.ext4 tmp images
"""

_BUNDLE = """
cd /out
mkdir content
cp --sparse=always /slot/root.ext4 content/
cat >content/manifest.raucm <<MANIFEST
[update]
compatible=edgekernel-arm64
version=$version

[bundle]
format=verity

[image.root]
filename=root.ext4
MANIFEST
rauc --cert=/signer/cert.pem --key=/signer/key.pem --keyring=/signer/keyring.pem \\
    --mksquashfs-args='-comp zstd -Xcompression-level 6' bundle content update.raucb
rm -rf content
"""


def _variables(version: str) -> str:
    lines = [f"uuid_{name}={value}" for name, value in UUIDS.items()]
    return "\n".join([*lines, f"version={version}"]) + "\n"


def make_slot(tools: Tools, version: str) -> None:
    """Make `root.ext4`, what a root slot holds; its inputs are /rootfs, /wheels, /keys and
    /images.
    """
    tools.shell(_variables(version) + _ROOT)


def make_disk(tools: Tools, version: str) -> None:
    """Make `sdcard.img` and its compressed form from /slot and the firmware's files."""
    tools.shell(_variables(version) + _DISK)


def make_bundle(tools: Tools, version: str) -> None:
    """Make `update.raucb`, which brings /slot to a node, signed with the key in /signer."""
    tools.shell(_variables(version) + _BUNDLE)
