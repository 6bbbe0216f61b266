"""The side-car disk of the guest's tests: which kernel it is for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from images.build.run import BuildError
from images.test.sidecar import Kernel, kernel_of

LOCK = Path(__file__).parents[2] / "images" / "packages.lock"


def test_the_kernel_of_the_image(tmp_path: Path) -> None:
    """It is the one that the image has, with the version of Debian's packages and of its source."""
    shutil.copy(LOCK, tmp_path / "packages")
    kernel = kernel_of(tmp_path)
    assert kernel.name.startswith(f"{kernel.series}.")
    assert f"linux-image-{kernel.name}-arm64={kernel.version}\n" in LOCK.read_text()


def test_its_parts(tmp_path: Path) -> None:
    """The package that always depends on the newest kernel does not count."""
    (tmp_path / "packages").write_text(
        "linux-base=4.12\nlinux-image-6.12.118+deb13-arm64=6.12.118-1\nlinux-image-arm64=6.12.118-1\n"
    )
    assert kernel_of(tmp_path) == Kernel("6.12.118+deb13", "6.12", "6.12.118-1")


@pytest.mark.parametrize(
    "packages",
    ["linux-image-arm64=6\n", "linux-image-6.12.1-arm64=1\nlinux-image-6.12.2-arm64=2\n"],
)
def test_no_single_kernel(tmp_path: Path, packages: str) -> None:
    """An image with none, or with two, is refused, with the file that says so."""
    (tmp_path / "packages").write_text(packages)
    with pytest.raises(BuildError, match="packages: one kernel is expected there, not"):
        kernel_of(tmp_path)
