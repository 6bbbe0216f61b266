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
from images.build.keys import CERTIFICATE, KEYRING, Keys, find_keys, forget
from images.build.rootfs import (
    BOOT_PACKAGES,
    BROKER_SCRIPT,
    BUILD_PACKAGES,
    add_broker,
    age_note,
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
BROKER = IMAGES / "broker"
STAGES = 7
RECIPE = (HERE / "rootfs.py", HERE / "run.py")
"""Which Debian, with which settings and in which environment: in the keys of all stages."""
OVERLAY = ("rootfs", "boot", "units-enabled.txt", "units-masked.txt")


class Stages:
    """Makes one stage after the other, says which is at work, and how long those before it took."""

    def __init__(self, cache: Cache, count: int) -> None:
        self._cache = cache
        self.cached: set[str] = set()
        """The names of those that were there already."""
        self._number = 0
        self._count = count
        self.log = cache.folder / "build.log"
        self.log.write_bytes(b"")

    def tools(self, key: str, packages: list[str]) -> Path:
        """Make the tools root, which all other stages are made in."""
        what = "tools (Debian trixie, for this computer)"
        self.root = self._step("tools", what, key, lambda new: make_tools(packages, new, self.log))
        return self.root

    def make(self, name: str, what: str, key: str, work: Callable[[Tools, Path], None],
             **folders: Path) -> Path:  # fmt: skip
        """Make a folder of the cache, at /out in the tools root; others are at their names."""

        def make(new: Path) -> None:
            new.mkdir()
            seen = {f"/{each}": path for each, path in folders.items()}
            work(Tools(self.root, {"/out": new, "/images": IMAGES, **seen}, self.log), new)

        return self._step(name, what, key, make)

    def _step(self, name: str, what: str, key: str, make: Callable[[Path], None]) -> Path:
        self._number += 1
        began = time.monotonic()
        print(f"image {self._number}/{self._count}: {what} ...", flush=True)
        path, cached = self._cache.get(name, key, make)
        if cached:
            self.cached.add(name)
        took = "cached" if cached else f"{time.monotonic() - began:.0f} s"
        print(f"image {self._number}/{self._count}: {what}: {took}", flush=True)
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
    """Build every stage that is not in the cache, deliver what came of them, and say so."""
    cache = Cache(arguments.cache)
    if arguments.renew:
        cache.forget("rootfs", "fetched", "broker-rootfs")
    stages = Stages(cache, STAGES + arguments.with_broker)
    names = read_list(IMAGES / "tools.txt")
    tools_key = key_of("tools 1", *RECIPE, *names)
    root = stages.tools(tools_key, names)
    keys = find_keys(
        cache, root, stages.log, arguments.keyring, arguments.sign_cert, arguments.sign_key
    )
    try:
        made, locks = _make(stages, tools_key, keys, arguments.version, arguments.with_broker)
    finally:
        forget(keys)
    default = TREE / "build" / "images"
    _deliver(made, arguments.out or (default / "with-broker" if arguments.with_broker else default))
    for note in keys.notes():
        print(note)
    for lock, packages in locks.items():
        _compare(packages, lock)


def _make(
    stages: Stages, tools_key: str, keys: Keys, version: str, with_broker: bool
) -> tuple[list[Path], dict[Path, str]]:
    """Make everything in the tools root; return what is delivered, and what is in the locks."""
    packages = read_list(IMAGES / "packages.txt")
    rootfs_key = key_of(tools_key, *packages)
    rootfs = stages.make(
        "rootfs", "packages of the image (Debian trixie, arm64)", rootfs_key,
        lambda tools, out: make_rootfs(tools, packages, out),
    )  # fmt: skip
    if "rootfs" in stages.cached:
        print(age_note(rootfs / "packages", time.time()))
    fetched_key = key_of(tools_key, *BOOT_PACKAGES, *BUILD_PACKAGES)
    fetched = stages.make(
        "fetched", "firmware and headers", fetched_key, lambda tools, out: fetch_packages(tools)
    )
    requirements = IMAGES / "requirements.txt"
    sources = [TREE / each for each in ("edgekernel", "devices", "boards", "pyproject.toml")]
    wheels_key = key_of(fetched_key, HERE / "wheels.py", requirements, *sources)
    wheels = stages.make(
        "wheels", "edgekernel and its libraries", wheels_key,
        lambda tools, out: make_wheels(tools, requirements, TREE, out), fetched=fetched,
    )  # fmt: skip
    locks = {
        IMAGES / "packages.lock": (rootfs / "packages").read_text()
        + (fetched / "packages").read_text()
    }
    kind = ""
    if with_broker:  # from here on everything has names and keys of its own
        kind, added = "broker-", read_list(BROKER / "packages.txt")
        rootfs_key = key_of(
            rootfs_key, rootfs / "packages", BROKER_SCRIPT, BROKER / "rootfs", *added
        )
        rootfs = stages.make(
            "broker-rootfs", "packages and unit of the broker", rootfs_key,
            lambda tools, out: add_broker(tools, added, out), rootfs=rootfs,
        )  # fmt: skip
        locks[BROKER / "packages.lock"] = (rootfs / "added").read_text()
    overlay = [IMAGES / each for each in OVERLAY]
    slot_key = key_of(
        rootfs_key,
        rootfs / "packages",
        wheels_key,
        version,
        HERE / "disk.py",
        keys.keyring / KEYRING,
        *overlay,
    )
    slot = stages.make(
        f"{kind}slot", "root slot", slot_key, lambda tools, out: make_slot(tools, version),
        rootfs=rootfs, wheels=wheels, keys=keys.keyring,
    )  # fmt: skip
    disk_key = key_of(
        slot_key, fetched_key, fetched / "packages", IMAGES / "firmware", IMAGES / "genimage.cfg"
    )
    disk = stages.make(
        f"{kind}disk", "disk", disk_key, lambda tools, out: make_disk(tools, version),
        rootfs=rootfs, fetched=fetched, slot=slot,
    )  # fmt: skip
    made = [disk / "sdcard.img.zst", disk / "sdcard.img"]
    if keys.signer is not None:
        bundle_key = key_of(slot_key, version, keys.signer / CERTIFICATE)
        bundle = stages.make(
            f"{kind}bundle", "bundle for updates", bundle_key,
            lambda tools, out: make_bundle(tools, version), slot=slot, signer=keys.signer,
        )  # fmt: skip
        made.append(bundle / "update.raucb")
    return made, locks


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
    name = lock.relative_to(IMAGES.parent)
    print(f"The packages are others than in {name}; review them, and commit the file:")
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
        help="where the image is put (default: build/images, with a broker the folder with-broker "
        "in it)",
    )
    parser.add_argument(
        "--with-broker", action="store_true", help="add mosquitto, for a board that stands alone"
    )
    parser.add_argument(
        "--version", default="0.1.0", help="the version of the image (default: %(default)s)"
    )
    parser.add_argument(
        "--renew", action="store_true", help="install the packages of Debian as they are today"
    )
    parser.add_argument("--keyring", type=Path, help="PEM file: who may sign updates")
    parser.add_argument("--sign-cert", type=Path, help="PEM file: signs the bundle for updates")
    parser.add_argument("--sign-key", type=Path, help="PEM file: the key of that certificate")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
