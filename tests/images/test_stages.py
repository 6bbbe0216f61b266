"""The stages of the image's build: each is made anew when what it is made from is another one."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from images.build import __main__ as build
from images.build.cache import Cache

LOCK = (build.IMAGES / "packages.lock").read_text()
FROM_DEBIAN = {"tools", "rootfs", "fetched", "wheels", "slot", "disk"}
Build = Callable[..., set[str]]


def fill(folder: Path, debian: str) -> None:
    """Make what is looked at of a stage; `debian` stands for the day's packages."""
    folder.mkdir()
    packages = LOCK + debian if folder.name.startswith("rootfs") else ""
    (folder / "packages").write_text(packages)
    for name in ("sdcard.img", "sdcard.img.zst"):
        (folder / name).write_text(name)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Give a build whose programs are not run; it returns which stages it has made."""
    keyring = tmp_path / "ring.pem"
    keyring.write_text("PEM")
    images = tmp_path / "images"
    shutil.copytree(build.IMAGES, images, ignore=shutil.ignore_patterns("test", "__pycache__"))
    monkeypatch.setattr(build, "IMAGES", images)

    def once(*arguments: str, debian: str = "") -> set[str]:
        made: set[str] = set()
        get = Cache.get

        def stage(
            cache: Cache, name: str, key: str, make: Callable[[Path], None]
        ) -> tuple[Path, bool]:
            if name == "keyring":
                return get(cache, name, key, make)
            path, cached = get(cache, name, key, lambda new: fill(new, debian))
            if not cached:
                made.add(name)
            return path, cached

        places = [f"--cache={tmp_path / 'cache'}", f"--out={tmp_path / 'out'}"]
        with monkeypatch.context() as patched:
            patched.setattr(Cache, "get", stage)
            patched.setattr(os, "geteuid", lambda: 0)
            patched.setattr(sys, "argv", ["build", *places, f"--keyring={keyring}", *arguments])
            assert build.main() == 0
        return made

    return once


def test_nothing_has_changed(run: Build) -> None:
    """What is there is not made again."""
    assert run() == FROM_DEBIAN
    assert run() == set()


@pytest.mark.parametrize("name", ["rootfs.py", "run.py"])
def test_the_recipe_has_changed(
    run: Build, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another Debian, other settings of its tools or another environment make all of it anew."""
    run()
    copies = [Path(shutil.copy(each, tmp_path)) for each in build.RECIPE]
    monkeypatch.setattr(build, "RECIPE", copies)
    assert run() == set()
    changed = next(each for each in copies if each.name == name)
    changed.write_text(changed.read_text().replace("1_767_225_600", "0").replace("trixie", "forky"))
    assert run() == FROM_DEBIAN


def test_packages_of_another_day(
    run: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Packages that are taken from the cache have their age told, and how newer ones are taken;
    these make what they are in anew."""
    run()
    assert "days old" not in capsys.readouterr().out
    packages = next((tmp_path / "cache").glob("rootfs-*")) / "packages"
    then = time.time() - 9.5 * 86400
    os.utime(packages, (then, then))
    assert run() == set()
    day = time.strftime("%Y-%m-%d", time.gmtime(then))
    said = capsys.readouterr().out
    assert f"The packages are those of {day}, 9 days old;" in said
    assert "make image ARGS=--renew" in said
    assert run("--renew") == {"rootfs", "fetched"}  # and no package is another one
    assert run("--renew", debian="new=1\n") == {"rootfs", "fetched", "slot", "disk"}
    assert "days old" not in capsys.readouterr().out
