"""A cluster of three NATS servers with their MQTT gateways, and a balancer in front of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.brokers import HOST, free_port

FORM_S = 90.0
"""How long a cluster may take to form, or to elect anew; never reached when all is well."""

_CONF = """\
server_name: {name}
listen: "{host}:{client}"
http: "{host}:{monitor}"
jetstream {{ store_dir: "{folder}", max_memory_store: 64MB, max_file_store: 1GB }}
cluster {{ name: edge, listen: "{host}:{route}", routes: [{routes}] }}
mqtt {{ listen: "{host}:{mqtt}" }}
"""


class Server:
    """One server; `kill` and `start` it as often as needed."""

    def __init__(self, folder: Path, name: str, routes: list[int], route: int) -> None:
        self.port = free_port()
        """Of its MQTT gateway."""
        self.client_port = free_port()
        """Of its own protocol."""
        self._monitor = free_port()
        self._conf = folder / f"{name}.conf"
        self._log = folder / f"{name}.log"
        text = _CONF.format(
            name=name,
            host=HOST,
            client=self.client_port,
            monitor=self._monitor,
            folder=folder / name,
            route=route,
            routes=", ".join(f'"nats://{HOST}:{each}"' for each in routes),
            mqtt=self.port,
        )
        self._conf.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; whether the cluster is there is another question."""
        path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"))
        binary = shutil.which("nats-server", path=path)
        assert binary is not None, "nats-server is missing; tools/ensure-nats installs it"
        with self._log.open("ab") as said:
            self._process = subprocess.Popen([binary, "-c", self._conf], stdout=said, stderr=said)

    def kill(self) -> None:
        """End it without any goodbye. Ending twice is harmless."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(FORM_S)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def says(self, page: str) -> Any:
        """Return a page of its monitor; None if it does not answer."""
        url = f"http://{HOST}:{self._monitor}/{page}"
        with suppress(OSError), closing(urllib.request.urlopen(url, timeout=1)) as answer:
            return json.load(answer)
        return None

    def log(self) -> str:
        """Return the last of what it has said; not that others cannot be reached."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join([each for each in lines if "connect to route" not in each][-25:])


class Cluster:
    """Three servers that keep everything on all three."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.servers = self._make()

    @property
    def ports(self) -> list[int]:
        """Of the MQTT gateways."""
        return [server.port for server in self.servers]

    def start(self) -> None:
        """Start all, and wait until they have found each other.

        Somebody else may have taken a port since it was found free: then they get other ones.
        """
        said = ""
        for _ in range(3):
            for server in self.servers:
                server.start()
            self.until(lambda: self._is_formed() or self._has_ended(), "the cluster is formed")
            if not self._has_ended():
                return
            said = self.log()
            self.stop()
            self.servers = self._make()
        raise AssertionError(f"a server has ended:\n{said}")

    def stop(self) -> None:
        """End all of them."""
        for server in self.servers:
            server.kill()

    def until(self, condition: Callable[[], object], what: str | Callable[[], str]) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + FORM_S
        while not condition():
            if time.monotonic() > end:
                said = what if isinstance(what, str) else what()
                raise AssertionError(f"never came: {said}\n{self.log()}")
            time.sleep(0.05)  # the servers are other processes: there is nothing to wait on

    def log(self) -> str:
        """Return the last of what all have said."""
        return "\n".join(server.log() for server in self.servers)

    def _make(self) -> list[Server]:
        routes = [free_port() for _ in range(3)]
        return [
            Server(self._folder, f"nats-{number}", routes, route)
            for number, route in enumerate(routes, start=1)
        ]

    def _has_ended(self) -> bool:
        """Whether a server could not start."""
        return any(server.has_ended for server in self.servers)

    def _is_formed(self) -> bool:
        """Whether every server is well and follows a leader of all three."""
        for server in self.servers:
            health, state = server.says("healthz"), server.says("jsz")
            if not health or health.get("status") != "ok" or not state:
                return False
            meta = state.get("meta_cluster", {})
            if not meta.get("leader") or meta.get("cluster_size") != len(self.servers):
                return False
        return True


class Balancer:
    """One address in front of several servers, as a load balancer is.

    A connection goes to the first of `ports` that accepts it; it ends with either side.
    """

    def __init__(self, ports: list[int]) -> None:
        self.port = free_port()
        self.ports = list(ports)
        self.chosen: list[int] = []
        """Where the connections went, in order."""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="balancer")

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        assert self._ready.wait(FORM_S)

    def stop(self) -> None:
        """End every connection, and listen no more."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        tasks: set[asyncio.Task[None]] = set()

        async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with suppress(asyncio.CancelledError):
                await self._serve_one(reader, writer)
            tasks.discard(task)

        server = await asyncio.start_server(taken, HOST, self.port)
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in self.ports:
            with suppress(OSError):
                upstream = await asyncio.open_connection(HOST, port)
                break
        else:
            writer.close()
            return
        self.chosen.append(port)
        ways = [_pump(reader, upstream[1]), _pump(upstream[0], writer)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for end in (writer, upstream[1]):
                end.close()
            for end in (writer, upstream[1]):
                with suppress(OSError):
                    await end.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@contextmanager
def balanced(ports: list[int]) -> Iterator[Balancer]:
    """Give a balancer, listening, that is stopped at the end."""
    balancer = Balancer(ports)
    balancer.start()
    try:
        yield balancer
    finally:
        balancer.stop()
