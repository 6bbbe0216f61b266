"""The built wheel, not the tree: what is in it, and that it works where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "edgekernel": ROOT / "edgekernel",
    "edgekernel_boards": ROOT / "boards" / "edgekernel_boards",
    "edgekernel_devices": ROOT / "devices" / "edgekernel_devices",
}
NODE = """\
[node]
name = "bench-1"
board = "raspberrypi/4b"

[devices.fan]
driver = "relay"
pin = "GPIO17"
safe = "off"
"""


def run(*command: str | Path, cwd: Path) -> str:
    """What the command prints; a failure shows both of its outputs."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        command, cwd=cwd, env=inherited, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}{done.stderr}"
    return done.stdout


def link_third_party(folder: Path) -> None:
    """Link everything installed beside the tests into `folder`, except edgekernel itself."""
    for site_packages in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(site_packages).iterdir():
            ours = entry.name.lstrip("_").startswith("edgekernel")
            if not ours and entry.suffix != ".pth":
                (folder / entry.name).symlink_to(entry)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and, through a .pth file, its dependencies."""
    home = tmp_path_factory.mktemp("installed")
    third_party = tmp_path_factory.mktemp("third_party")
    link_third_party(third_party)
    venv.create(home, system_site_packages=False, symlinks=True, with_pip=False)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check"]
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=home)
    [site_packages] = home.glob("lib/python*/site-packages")
    (site_packages / "third_party.pth").write_text(f"{third_party}\n")
    return home


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def names_listed(installed: Path, what: str) -> set[str]:
    listed = json.loads(run(installed / "bin" / "edgekernel", what, "--json", cwd=installed))
    assert isinstance(listed, list)
    return {entry["name"] for entry in listed}


def test_the_wheel_holds_the_three_packages_and_nothing_else(contents: set[str]) -> None:
    """Installing edgekernel adds three import packages and its metadata to site-packages."""
    top_level = {name.split("/")[0] for name in contents}
    [dist_info] = {name for name in top_level if name.endswith(".dist-info")}
    assert dist_info.startswith("edgekernel-")
    assert top_level - {dist_info} == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_holds_every_file_of_a_package(contents: set[str], package: str) -> None:
    """Every file of a package, code or data, is in the wheel."""
    folder = PACKAGES[package]
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    expected = {f"{package}/{path}" for path in files if "__pycache__" not in path.parts}
    assert expected
    assert expected <= contents


def test_the_wheel_is_typed_and_has_the_boards(contents: set[str]) -> None:
    """Type checkers find the marker of each package with code, and the board files are inside."""
    assert {"edgekernel/py.typed", "edgekernel_devices/py.typed"} <= contents
    boards = {f"edgekernel_boards/{board}.toml" for board in ("raspberrypi/4b", "raspberrypi/5")}
    assert boards <= contents


def test_importing_edgekernel_needs_the_standard_library_only(wheel: Path) -> None:
    """`import edgekernel` works where none of its dependencies is installed."""
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); import edgekernel"
    run(sys.executable, "-I", "-S", "-c", code, cwd=wheel.parent)


@pytest.mark.parametrize("package", PACKAGES)
def test_an_installed_package_is_the_one_of_the_wheel(installed: Path, package: str) -> None:
    """These tests see the installed wheel, not the checkout."""
    code = f"import {package}; print(*{package}.__path__)"
    location = run(installed / "bin" / "python", "-c", code, cwd=installed).strip()
    assert Path(location).is_relative_to(installed)


def test_the_installed_wheel_lists_its_drivers(installed: Path) -> None:
    """`edgekernel devices --json` finds the drivers through the entry point."""
    assert names_listed(installed, "devices") >= {"relay", "led", "button", "bme280", "gps"}


def test_the_installed_wheel_lists_its_boards(installed: Path) -> None:
    """`edgekernel boards --json` finds the boards through the entry point."""
    assert names_listed(installed, "boards") >= {"raspberrypi/4b", "raspberrypi/5", "sim"}


def test_the_installed_wheel_checks_a_node(installed: Path, tmp_path: Path) -> None:
    """`edgekernel check` accepts a small node file."""
    node = tmp_path / "node.toml"
    node.write_text(NODE)
    run(installed / "bin" / "edgekernel", "check", node, cwd=tmp_path)
