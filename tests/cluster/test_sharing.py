"""Consumers that share the events of a fleet on NATS: in its own protocol, not over MQTT."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from edgekernel.mqtt import Fleet
from edgekernel.mqtt.settings import Settings
from tests.brokers import HOST, LIMIT_S, watching
from tests.cluster.nats import Cluster, Server

COUNT = 40
EVENTS = "edge.*.event.*"
"""NATS has dots where MQTT has slashes."""


@contextmanager
def queue_member(server: Server) -> Iterator[socket.socket]:
    """Subscribe to all events as one of the queue group "archive", in NATS' own protocol."""
    with socket.create_connection((HOST, server.client_port), LIMIT_S) as link:
        hello = f'CONNECT {{"verbose":false}}\r\nSUB {EVENTS} archive 1\r\nPING\r\n'
        link.sendall(hello.encode())
        said = b""
        while b"PONG\r\n" not in said:
            said += link.recv(4096)
        yield link


def numbers(members: list[socket.socket], enough: int) -> list[list[int]]:
    """Return the numbers that each member gets until all have so many, and in the moment after."""
    said = dict.fromkeys(members, b"")

    def found() -> list[list[int]]:
        return [[int(each) for each in re.findall(rb'"number": (\d+)', said[m])] for m in members]

    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        is_enough = sum(map(len, found())) >= enough
        readable, _, _ = select.select(members, [], [], 0.3 if is_enough else 1.0)
        for member in readable:
            said[member] += member.recv(65536)
        if is_enough and not readable:
            break
    return found()


def test_a_queue_group_gets_each_event_once(cluster: Cluster) -> None:
    """Members of a queue group, on different servers, get each event once together. Over MQTT the
    gateway takes a share, and nothing comes."""
    with ExitStack() as stack:
        members = [stack.enter_context(queue_member(cluster.servers[at])) for at in (0, 1)]
        watcher = stack.enter_context(watching(cluster.ports[2], "edge/#"))
        fleet = stack.enter_context(Fleet(Settings(HOST, cluster.ports[0]), timeout_s=10))
        over_mqtt = stack.enter_context(fleet.events(share="archive"))
        for number in range(COUNT):
            watcher.publish("edge/n1/event/tick", {"name": "tick", "number": number})
        got = numbers(members, COUNT)
        assert sorted(number for each in got for number in each) == list(range(COUNT))
        assert all(got)
        assert over_mqtt.get(0.5) is None
