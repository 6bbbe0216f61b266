"""What is special about paho-mqtt; the rest of a transport is tested through the link."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.brokers import HOST, Mosquitto
from tests.mqtt.parts import settings
from tests.mqtt.test_client import linked

FILES = 1024


@pytest.fixture
def many_files() -> Iterator[ExitStack]:
    """Give as many open files as select() can wait for, to be closed by the test or at its end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as limits, ExitStack() as files:
        if soft != resource.RLIM_INFINITY and soft < FILES + 100:
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES + 100, hard))
            limits.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while (number := os.open(os.devnull, os.O_RDONLY)) < FILES:
            files.callback(os.close, number)
        files.callback(os.close, number)
        yield files


def test_a_process_with_too_many_files(broker: Mosquitto, many_files: ExitStack) -> None:
    """Where the next connection is beyond what select() takes it is told why there is no link, and
    when files have been closed the link comes up."""
    with linked(settings(broker.port)) as (client, observer):
        problem = observer.wait("problem")
        assert f"{HOST}:{broker.port} cannot be reached: this process has too many open" in problem
        assert "select(), can use numbers to 1023, and the next is 10" in problem
        assert not client.connected
        many_files.close()
        observer.wait("connected")
