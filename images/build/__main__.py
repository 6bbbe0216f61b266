"""Builds the image: `make image`, or `python -m images.build` beside it. Needs root on Linux."""

from __future__ import annotations

import argparse
import difflib
import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from images.build.cache import Cache, key_of
from images.build.disk import make_bundle, make_disk, make_slot
from images.build.keys import CERTIFICATE, KEYRING, find_keys, forget
from images.build.rootfs import (
    BOOT_PACKAGES,
    BUILD_PACKAGES,
    ROOTFS_SCRIPT,
    fetch_packages,
    make_rootfs,
    make_tools,
    read_list,
)
from images.build.run import BuildError, Tools
from images.build.wheels import make_wheels

HERE = Path(__file__).parent
IMAGES = HERE.parent
TREE = IMAGES.parent
STAGES = 7


class Progress:
    """Says which step is at work, and how long the ones before it took."""

    def __init__(self) -> None:
        self._number = 0
        self._began = time.monotonic()

    def step(self, what: str, work: Callable[[], tuple[Path, bool]]) -> Path:
        """Do one step of the build."""
        self._number += 1
        began = time.monotonic()
        print(f"image {self._number}/{STAGES}: {what} ...", flush=True)
        path, cached = work()
        took = "cached" if cached else f"{time.monotonic() - began:.0f} s"
        print(f"image {self._number}/{STAGES}: {what}: {took}", flush=True)
        return path


def main() -> int:
    """Build; return an exit code."""
    arguments = _arguments()
    if os.geteuid() != 0:
        print("image: building needs root, for mounts and other users' files", file=sys.stderr)
        return 1
    try:
        build(arguments)
    except BuildError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    return 0


def build(arguments: argparse.Namespace) -> None:
    """Build every stage that is not in the cache."""
    cache = Cache(arguments.cache)
    log = arguments.cache / "build.log"
    log.write_bytes(b"")
    progress = Progress()
    names = read_list(IMAGES / "tools.txt")
    tools_key = key_of("tools 1", *names)
    root = progress.step(
        "tools (Debian trixie, for this computer)",
        lambda: cache.get("tools", tools_key, lambda new: make_tools(names, new, log)),
    )

    keys = find_keys(cache, root, log, arguments.keyring, arguments.sign_cert, arguments.sign_key)

    def stage(name: str, what: str, key: str, work: Callable[[Tools, Path], None],
              **folders: Path) -> Path:  # fmt: skip
        """Make a folder of the cache, at /out in the tools root; others are at their names."""

        def make(new: Path) -> None:
            new.mkdir()
            seen = {f"/{each}": path for each, path in folders.items()}
            work(Tools(root, {"/out": new, "/images": IMAGES, **seen}, log), new)

        return progress.step(what, lambda: cache.get(name, key, make))

    packages = read_list(IMAGES / "packages.txt")
    rootfs_key = key_of(tools_key, ROOTFS_SCRIPT, *packages)
    rootfs = stage(
        "rootfs", "packages of the image (Debian trixie, arm64)", rootfs_key,
        lambda tools, out: make_rootfs(tools, packages, out),
    )  # fmt: skip
    fetched_key = key_of(tools_key, *BOOT_PACKAGES, *BUILD_PACKAGES)
    fetched = stage(
        "fetched", "firmware and headers", fetched_key, lambda tools, out: fetch_packages(tools)
    )
    requirements = IMAGES / "requirements.txt"
    sources = [TREE / each for each in ("edgekernel", "devices", "boards", "pyproject.toml")]
    wheels_key = key_of(fetched_key, HERE / "wheels.py", requirements, *sources)
    wheels = stage(
        "wheels", "edgekernel and its libraries", wheels_key,
        lambda tools, out: make_wheels(tools, requirements, TREE, out), fetched=fetched,
    )  # fmt: skip
    version = arguments.version
    overlay = [
        IMAGES / each for each in ("rootfs", "boot", "units-enabled.txt", "units-masked.txt")
    ]
    slot_key = key_of(
        rootfs_key, wheels_key, version, HERE / "disk.py", keys.keyring / KEYRING, *overlay
    )
    slot = stage(
        "slot", "root slot", slot_key, lambda tools, out: make_slot(tools, version),
        rootfs=rootfs, wheels=wheels, keys=keys.keyring,
    )  # fmt: skip
    disk_key = key_of(slot_key, fetched_key, IMAGES / "firmware", IMAGES / "genimage.cfg")
    disk = stage(
        "disk", "disk", disk_key, lambda tools, out: make_disk(tools, version),
        rootfs=rootfs, fetched=fetched, slot=slot,
    )  # fmt: skip
    made = [disk / "sdcard.img.zst", disk / "sdcard.img"]
    if keys.signer is not None:
        bundle_key = key_of(slot_key, version, keys.signer / CERTIFICATE)
        bundle = stage(
            "bundle", "bundle for updates", bundle_key,
            lambda tools, out: make_bundle(tools, version), slot=slot, signer=keys.signer,
        )  # fmt: skip
        made.append(bundle / "update.raucb")
        forget(keys)
    packages_now = (rootfs / "packages").read_text() + (fetched / "packages").read_text()
    _deliver(made, arguments.out)
    print(*keys.notes(), sep="\n")
    _compare(packages_now, IMAGES / "packages.lock")


def _deliver(made: list[Path], out: Path) -> None:
    """Put what was built where it is looked for, and say what it is."""
    out.mkdir(parents=True, exist_ok=True)
    for path in made:
        target = out / path.name
        target.unlink(missing_ok=True)
        target.symlink_to(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        print(f"{target}: {path.stat().st_size / 1e6:.0f} MB, sha256 {digest}")


def _compare(packages: str, lock: Path) -> None:
    """Keep the list of packages for a review, and say what has changed."""
    before = lock.read_text() if lock.exists() else ""
    if before == packages:
        return
    lock.write_text(packages)
    changes = difflib.unified_diff(before.splitlines(), packages.splitlines(), "before", "now", n=0)
    print(f"The packages are others than in {lock.name}; review them, and commit the file:")
    print("\n".join(f"  {line}" for line in list(changes)[2:40]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m images.build", description=__doc__)
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(
            os.environ.get("EDGEKERNEL_IMAGE_CACHE", "~/.cache/edgekernel/images")
        ).expanduser(),
        help="where stages are kept; 5 GB (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=TREE / "build" / "images",
        help="where the image is put (default: %(default)s)",
    )
    parser.add_argument(
        "--version", default="0.1.0", help="the version of the image (default: %(default)s)"
    )
    parser.add_argument("--keyring", type=Path, help="PEM file: who may sign updates")
    parser.add_argument("--sign-cert", type=Path, help="PEM file: signs the bundle for updates")
    parser.add_argument("--sign-key", type=Path, help="PEM file: the key of that certificate")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
