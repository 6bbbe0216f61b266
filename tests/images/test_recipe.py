"""The recipe of the image: its lists agree with one another, and keys go together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgekernel.cli.image_broker import BROKER_PLACE, BROKER_USER
from edgekernel.platform.broker_card import BROKER_CONF, BROKER_MEMORY
from images.build.cache import Cache
from images.build.keys import find_keys
from images.build.rootfs import BOOT_PACKAGES, read_list
from images.build.run import BuildError

IMAGES = Path(__file__).parents[2] / "images"
BROKER = IMAGES / "broker"
UNITS = IMAGES / "rootfs/etc/systemd/system"
RULES = IMAGES / "rootfs/etc/udev/rules.d"
PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def test_the_lock_has_all_packages() -> None:
    """Every package that is asked for is in the lock, with its version."""
    lock = dict(line.split("=", 1) for line in (IMAGES / "packages.lock").read_text().split())
    wanted = {*read_list(IMAGES / "packages.txt"), *BOOT_PACKAGES}
    assert wanted <= lock.keys()
    assert all(lock.values())


def test_libraries_are_those_that_are_tested() -> None:
    """Libraries have the versions with which the tests run, wherever these have them."""
    tested = dict(PINNED.findall((IMAGES.parent / "constraints.txt").read_text()))
    image = dict(PINNED.findall((IMAGES / "requirements.txt").read_text()))
    shared = image.keys() & tested.keys()
    assert len(shared) > 10
    assert {name: image[name] for name in shared} == {name: tested[name] for name in shared}


def test_units_are_there() -> None:
    """Our own units that are to be enabled are in the overlay, and the other way round; those that
    udev starts need not be."""
    enabled = {name for name in read_list(IMAGES / "units-enabled.txt") if "edgekernel" in name}
    units = [each for each in UNITS.glob("edgekernel-*.*") if each.is_file()]
    assert enabled == {each.name for each in units if "[Install]" in each.read_text()}
    rules = "".join(each.read_text() for each in RULES.glob("*.rules"))
    started = set(re.findall(r"edgekernel-\w+@(?=\$name\.service)", rules))
    named = {each.name for each in units}
    assert started == {name.removesuffix(".service") for name in named if "@" in name}


def test_the_broker_is_apart() -> None:
    """What is for the broker is in a folder, list and lock of its own: nothing of it is in the
    image without one, and its lock has what it adds and nothing else."""
    without = dict(line.split("=", 1) for line in (IMAGES / "packages.lock").read_text().split())
    added = dict(line.split("=", 1) for line in (BROKER / "packages.lock").read_text().split())
    assert {*read_list(BROKER / "packages.txt")} <= added.keys()
    assert all(added.values())
    assert not [name for name in added if without.get(name) is not None]
    assert not [each for each in (IMAGES / "rootfs").rglob("*") if "broker" in each.name]


def test_the_unit_of_the_broker() -> None:
    """It starts with a site and not without, before the agent, which does not need it; what the
    site says is where it is, its user is that of the files, and it writes its memory alone."""
    unit = (BROKER / "rootfs/etc/systemd/system/edgekernel-broker.service").read_text()
    for line in (
        f"ConditionPathExists={BROKER_PLACE}/{BROKER_CONF}",
        f"ExecStart=/usr/sbin/mosquitto -c {BROKER_PLACE}/{BROKER_CONF}",
        f"ReadWritePaths={BROKER_PLACE}/{BROKER_MEMORY}",
        f"User={BROKER_USER}",
        "After=edgekernel-provision.service",
        "Before=edgekernel.service",
        "Restart=on-failure",
        "StartLimitIntervalSec=0",
    ):
        assert f"\n{line}\n" in unit
    everything = unit + "".join(each.read_text() for each in UNITS.glob("*.service"))
    assert not re.findall(r"^(?:Requires|BindsTo|PartOf)=.*broker", everything, re.MULTILINE)


@pytest.mark.parametrize("given", ["k", "c", "s", "kc", "ks", "cs"])
def test_keys_that_do_not_go_together(given: str, tmp_path: Path) -> None:
    """A certificate and its key go together, with a keyring; a keyring may be alone."""
    path = tmp_path / "some.pem"
    path.write_text("PEM")
    cache = Cache(tmp_path / "cache")
    named = [path if each in given else None for each in "kcs"]
    if given == "k":
        keys = find_keys(cache, tmp_path, tmp_path / "log", *named)
        assert (keys.signer, keys.throwaway) == (None, False)
        assert (keys.keyring / "keyring.pem").read_text() == "PEM"
    else:
        with pytest.raises(BuildError, match="go together"):
            find_keys(cache, tmp_path, tmp_path / "log", *named)


def test_a_key_that_is_missing(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(BuildError, match=r"none\.pem: there is no such file"):
        find_keys(Cache(tmp_path), tmp_path, tmp_path / "log", tmp_path / "none.pem", None, None)
