"""The layer for a Pi 5: what can be known of it without the archive of Raspberry Pi."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path

import pytest

from images.build.rootfs import read_list

yaml = importlib.import_module("yaml")  # it comes with amqtt, and has no types
IMAGES = Path(__file__).parents[2] / "images"
FOLDER = IMAGES / "rpi-image-gen"
LAYER = FOLDER / "layer/edgekernel.yaml"
TEXT = LAYER.read_text()
PARTS = yaml.safe_load(TEXT)["mmdebstrap"]
# Its kernel is another one, and it has no slots and no ssh.
LEFT_OUT = {"linux-image-arm64", "rauc", "rauc-service", "libubootenv-tool", "openssh-server"}
ADDED = {"python3-lgpio", "python3-spidev", "python3-pip"}
UNITS_LEFT_OUT = {"edgekernel-confirm.service", "edgekernel-grow.service"}


def test_packages() -> None:
    """It has the packages of our image but for those named above, and no version of any: they are
    those of its own suite."""
    packages = PARTS["packages"]
    assert all(re.fullmatch(r"[a-z0-9.+-]+", name) for name in packages)
    assert len(packages) == len(set(packages))
    assert set(packages) == {*read_list(IMAGES / "packages.txt")} - LEFT_OUT | ADDED


def test_its_configuration_names_the_layer() -> None:
    """The configuration is for a Pi 5, and takes the layer by the name that it has."""
    told = yaml.safe_load((FOLDER / "config/edgekernel-pi5.yaml").read_text())
    name = re.search(r"^# X-Env-Layer-Name: (\S+)$", TEXT, re.MULTILINE)
    assert name is not None
    assert (told["device"]["layer"], told["layer"]) == ("rpi5", {"app": name[1]})


def test_files_are_there() -> None:
    """What it names in our tree is there, what it leaves out of the overlay too, and from its place
    the tree is found."""
    named = set(re.findall(r"\$IGconf_edgekernel_tree/([\w./-]+)", TEXT))
    tree = re.search(r"^# X-Env-Var-tree: \$\{DIRECTORY\}/(\S+)$", TEXT, re.MULTILINE)
    assert tree is not None
    root = (LAYER.parent / tree[1]).resolve()
    assert root == IMAGES.parent
    assert len(named) > 3
    assert [name for name in named if not (root / name).exists()] == []
    copied = re.search(r"tar -c (.*)\)", TEXT)
    assert copied is not None
    assert [name for name in copied[1].split() if not (root / name).exists()] == []
    excluded = re.findall(r"--exclude=(\S+)", TEXT)
    assert len(excluded) > 3
    assert [name for name in excluded if not (IMAGES / "rootfs" / name).exists()] == []


def test_units() -> None:
    """The units that it leaves out are ours, and are not in its overlay either."""
    left_out = re.findall(r"^ +((?:[\w-]+\.service\|?)+)\) ;;$", TEXT, re.MULTILINE)
    assert [set(each.split("|")) for each in left_out] == [UNITS_LEFT_OUT]
    assert {*read_list(IMAGES / "units-enabled.txt")} > UNITS_LEFT_OUT
    for unit in UNITS_LEFT_OUT:
        assert f"--exclude=./etc/systemd/system/{unit}" in TEXT


@pytest.mark.parametrize("hook", PARTS["customize-hooks"])
def test_hooks_are_shell(hook: str) -> None:
    """Its hooks are shell, and end at the first failure."""
    assert hook.startswith("set -eu\n")
    subprocess.run(["sh", "-n"], input=hook, text=True, check=True)


def test_the_overlay_is_laid_down(tmp_path: Path) -> None:
    """Its first hook, run for real, lays down our overlay but for what belongs to our slots."""
    (tmp_path / "boot/firmware").mkdir(parents=True)
    hook = PARTS["customize-hooks"][0]
    environment = {"IGconf_edgekernel_tree": str(IMAGES.parent), "PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-c", hook, "sh", str(tmp_path)], env=environment, check=True)
    whole = {str(path.relative_to(IMAGES / "rootfs")) for path in (IMAGES / "rootfs").rglob("*")}
    there = {str(path.relative_to(tmp_path)) for path in (tmp_path / "etc").rglob("*")}
    gone = {name for name in whole - there if (IMAGES / "rootfs" / name).is_file()}
    assert {Path(name).name for name in gone} == {
        "fstab", "system.conf", *UNITS_LEFT_OUT, "edgekernel.conf"
    }  # fmt: skip
    assert "etc/systemd/system/edgekernel-network.service" in there
    assert "dtparam=spi=on" in (tmp_path / "boot/firmware/config.txt").read_text()
    assert (tmp_path / "boot/firmware/edgekernel/README.txt").exists()


def test_libraries() -> None:
    """Its second hook takes every pinned library, with its hashes, but for the two that are
    packages there."""
    line = next(each for each in TEXT.splitlines() if "awk" in each)
    program = re.search(r"awk '([^']*)'", line)
    assert program is not None
    file = IMAGES / "requirements.txt"
    said = subprocess.check_output(["awk", program[1], file], text=True)
    pinned = set(re.findall(r"^([a-z0-9-]+)==", file.read_text(), re.MULTILINE))
    taken = re.findall(r"^([a-z0-9-]+)==", said, re.MULTILINE)
    assert set(taken) == pinned - {"lgpio", "spidev"}
    assert said.count("--hash=") == file.read_text().count("--hash=") - sum(
        block.count("--hash=")
        for block in re.split(r"\n(?=[a-z0-9])", file.read_text())
        if block.startswith(("lgpio==", "spidev=="))
    )
