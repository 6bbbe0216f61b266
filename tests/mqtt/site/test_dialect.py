"""For which mosquitto a configuration is: the one that is installed, or one that is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.broker import find_mosquitto
from edgekernel.mqtt.site.dialect import (
    ACL_PLUGIN,
    PASSWORD_PLUGIN,
    installed_version,
    plugins_for,
)


def install(
    monkeypatch: pytest.MonkeyPatch, root: Path, said: str, plugins: str | None = None
) -> Path:
    """Install a program called mosquitto that says something of itself; return its prefix."""
    program = root / "sbin/mosquitto"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{said}'\necho 'Usage: mosquitto [-c file]'\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    if plugins is not None:
        folder = root / plugins
        folder.mkdir(parents=True)
        for name in (ACL_PLUGIN, PASSWORD_PLUGIN):
            (folder / name).touch()
    return root


@pytest.mark.parametrize(
    "folder",
    ["lib", "lib64", "lib/aarch64-linux-gnu", "lib/mosquitto", "lib/aarch64-linux-gnu/mosquitto"],
)
def test_the_installed_one_decides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    """With 2.1 and its plugins the folder is found; with 2.0 there is none to look for."""
    root = install(monkeypatch, tmp_path / "new", "mosquitto version 2.1.2", folder)
    assert plugins_for("auto") == plugins_for("2.1") == str(root / folder)
    assert plugins_for("2.0") == ""
    install(monkeypatch, tmp_path / "old", "mosquitto version 2.0.22", folder)
    assert plugins_for("auto") == ""


def test_without_plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A 2.1 without plugins gets what is for 2.0, unless 2.1 is wanted; 3.0 could not read it."""
    install(monkeypatch, tmp_path / "bare", "mosquitto version 2.1.0")
    assert plugins_for("auto") == ""
    with pytest.raises(ConfigError, match=r"mosquitto_acl_file\.so and .*name their folder with"):
        plugins_for("2.1")
    install(monkeypatch, tmp_path / "next", "mosquitto version 3.0.0")
    with pytest.raises(ConfigError, match="--plugins"):
        plugins_for("auto")


def test_a_folder_that_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It counts whatever is installed here, if both plugins are in it."""
    root = install(monkeypatch, tmp_path / "there", "mosquitto version 2.0.11", "plugins")
    for wanted in ("auto", "2.1"):
        assert plugins_for(wanted, root / "plugins") == str(root / "plugins")
        with pytest.raises(ConfigError, match=f"they are not in {tmp_path}"):
            plugins_for(wanted, tmp_path)


def test_versions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The one on this machine says its own; what says nothing of it has none."""
    real = find_mosquitto()
    assert real is not None
    version = installed_version(real)
    assert version is not None
    assert version >= (2, 0)
    root = install(monkeypatch, tmp_path / "odd", "hello")
    assert installed_version(str(root / "sbin/mosquitto")) is None
    assert installed_version(str(root / "sbin/none")) is None
