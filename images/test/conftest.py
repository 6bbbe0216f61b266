"""What the tests of the image share: the built image, booted once for each module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel.mqtt import Fleet, Settings
from images.test.machine import Machine, newest
from images.test.steadiness import Progress, missing, nothing_is_left
from tests.brokers import HOST, Mosquitto

__all__ = ["nothing_is_left"]

CACHE = Path(os.environ.get("EDGEKERNEL_IMAGE_CACHE", "~/.cache/edgekernel/images")).expanduser()


def pytest_configure(config: pytest.Config) -> None:
    """Say what goes on."""
    config.pluginmanager.register(Progress())


@pytest.fixture(scope="session", autouse=True)
def everything_is_there() -> None:
    """End the run at once, with what to do, if the image or a program is missing."""
    if os.geteuid() != 0:
        pytest.exit("image-test: needs root, for mounts: sudo make image-test", returncode=1)
    if not list(CACHE.glob("disk-*")):
        pytest.exit(f"image-test: no image in {CACHE}: sudo make image builds it", returncode=1)
    tools = newest(CACHE, "tools")
    lacking = missing(tools)
    if lacking:
        pytest.exit(
            f"image-test: missing: {', '.join(lacking)}. Programs of this computer: sudo apt-get "
            f"install util-linux coreutils mount. Those below {tools}: it is damaged; remove it, "
            "and sudo make image makes it anew",
            returncode=1,
        )


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Give a broker on the loopback interface."""
    made = Mosquitto(tmp_path_factory.mktemp("broker"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto) -> Iterator[Machine]:
    """Give a computer with the image on its card, switched off."""
    image = newest(CACHE, "disk") / "sdcard.img"
    made = Machine(tmp_path_factory.mktemp("machine"), newest(CACHE, "tools"), image, broker)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def fleet(broker: Mosquitto) -> Iterator[Fleet]:
    """Give a client on the broker."""
    with Fleet(Settings(HOST, broker.port)) as made:
        yield made
