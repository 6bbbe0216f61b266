"""What the tests of the image share: the built image, booted once for each module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel.mqtt import Fleet, Settings
from images.test.machine import Machine, newest
from tests.brokers import HOST, Mosquitto

CACHE = Path(os.environ.get("EDGEKERNEL_IMAGE_CACHE", "~/.cache/edgekernel/images")).expanduser()


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
