"""A bad network: a TCP proxy on loopback that cuts, delays, throttles and swallows."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal, Self, TypeVar

from tests.brokers import HOST, LIMIT_S

Direction = Literal["up", "down"]
"""To the broker, or from it."""

T = TypeVar("T")

BOTH: tuple[Direction, ...] = ("up", "down")
_CHUNK = 65_536
_LINGER = struct.pack("ii", 1, 0)
"""With it a socket is closed by RST, and what is unsent is gone (socket(7))."""


class Proxy:
    """Passes connections on to a port. A context manager; its faults are for any thread.

    A connection that was deadened stays dead, as where a router has forgotten it: what is sent on
    it is swallowed, and neither end hears that the other has closed. New ones are not.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.delay_s = 0.0
        """By how much each piece is late."""
        self.bytes_per_s = 0
        """How fast, 0 being no limit."""
        self.connections = 0
        """How many there have been."""
        self._target = target
        self._pipes: set[_Pipe] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(self._listen())
        return self

    def __exit__(self, *raised: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)
        self._loop.close()

    def cut(self, *, reset: bool) -> None:
        """End all connections at both ends, by RST or by FIN."""
        self._each(lambda pipe: pipe.end(reset=reset))

    def deaden(self, *directions: Direction) -> None:
        """Let nothing come through any more on the connections that there are."""
        self._each(lambda pipe: pipe.dead.update(directions))

    def cut_within(self, direction: Direction, count: int) -> None:
        """Let `count` more bytes through, then end the connections by RST."""
        self._each(lambda pipe: pipe.left.update({direction: count}))

    def _each(self, act: Callable[[_Pipe], object]) -> None:
        async def all_of_them() -> None:
            for pipe in list(self._pipes):
                act(pipe)

        self._call(all_of_them())

    def _call(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(LIMIT_S)

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accepted, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _close(self) -> None:
        self._server.close()
        pipes = list(self._pipes)
        for pipe in pipes:
            pipe.end(reset=False)
        for pipe in pipes:
            await pipe.over.wait()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = _Pipe(self)
        self._pipes.add(pipe)
        self.connections += 1
        try:
            await pipe.run(reader, writer, self._target)
        finally:
            self._pipes.discard(pipe)
            pipe.over.set()


class _Pipe:
    """A connection through the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self.dead: set[str] = set()
        self.left: dict[str, int] = {}
        self.over = asyncio.Event()
        self._proxy = proxy
        self._writers: list[asyncio.StreamWriter] = []

    async def run(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int
    ) -> None:
        self._writers.append(writer)
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(HOST, target)
            self._writers.append(far_writer)
            await asyncio.gather(
                self._pump("up", reader, far_writer), self._pump("down", far_reader, writer)
            )
        self.end(reset=False)
        for each in self._writers:
            with suppress(OSError):
                await each.wait_closed()

    def end(self, *, reset: bool) -> None:
        for each in self._writers:
            if reset:
                sock: socket.socket = each.get_extra_info("socket")
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
                each.transport.abort()
            else:
                each.close()

    async def _pump(
        self, direction: Direction, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if direction in self.dead:
                    continue
                await self._slowly(sink, data[: self.left.get(direction, len(data))])
                if direction in self.left:
                    self.left[direction] -= len(data)
                    if self.left[direction] <= 0:
                        self.end(reset=True)
        if not self.dead:  # else neither end hears of the other
            self.end(reset=False)

    async def _slowly(self, sink: asyncio.StreamWriter, data: bytes) -> None:
        await asyncio.sleep(self._proxy.delay_s)
        rate = self._proxy.bytes_per_s
        size = max(1, rate // 20) if rate else len(data)
        for begin in range(0, len(data), size or 1):
            sink.write(data[begin : begin + size])
            await sink.drain()
            await asyncio.sleep(size / rate if rate else 0)
