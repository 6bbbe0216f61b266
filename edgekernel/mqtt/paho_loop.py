"""Who reads and writes the socket of a paho client, through what paho offers to foreign loops.

paho's own loop has one thread that reads and writes; whoever publishes wakes it and waits for it.
Here whoever publishes also writes, and the thread that reads a message runs its handler, outside of
paho. A handler that says that it may take long (see `relief`) keeps that thread only: another one
takes its place.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edgekernel.mqtt.relief import offer_relief

if TYPE_CHECKING:
    from paho.mqtt import client as paho

RELIEF_S = 0.1
"""A handler that may take long and takes this long, or twice as long, has its thread relieved."""

_MISC_S = 1.0
"""How often paho looks at its keep-alive."""

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_CORK: int | None = getattr(socket, "TCP_CORK", None)
"""Both are Linux's only; without them all takes a little longer."""


class PahoLoop:
    """Serves the connection of one client until it ends. Every method is for any thread."""

    def __init__(
        self, client: paho.Client, handle: Callable[[Any], object], lost: Callable[[str], object]
    ) -> None:
        """Prepare; `handle` is given what `arrived` was given, one after the other. `lost` is told
        if the loop itself fails."""
        self._client = client
        self._handle = handle
        self._lost = lost
        self._io = threading.Lock()
        """Held by whoever is in paho's reading or writing; by nobody while a handler runs."""
        self._inbox: deque[Any] = deque()
        self._several = False
        """Whether more than one packet waits to be written, so that they leave as one."""
        self._over = threading.Event()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._events = 0
        self._misc_s = 0.0
        self._roles = threading.Lock()
        """Around what follows: who leads, and who watches over that."""
        self._leader: threading.Thread | None = None
        self._leading = 0
        self._idle = False  # the leader, until something happens
        self._watcher: threading.Thread | None = None
        self._watching = threading.Event()
        self._busy = False  # the leader, with what may take long
        self._handled = 0
        client.on_socket_register_write = _nothing  # or paho itself would write when it likes

    def start(self) -> None:
        """Serve the connection that the client has made, on a thread of its own."""
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        sock: Any = self._client.socket()
        if sock is not None:  # else it has ended already
            self._selector.register(sock, selectors.EVENT_READ)
        self._events = selectors.EVENT_READ
        leader = self._leader = threading.Thread(target=self._lead, name="mqtt:net", daemon=True)
        leader.start()

    def arrived(self, message: Any) -> None:
        """Called by paho: let a message be handled when paho has been left."""
        self._several = True  # its acknowledgement leaves with the first answer
        self._inbox.append(message)

    def write(self) -> None:
        """Write what waits in the client; what cannot be written now the loop will.

        While the loop is at work it writes itself, all there is in one piece.
        """
        if not (self._idle or self._busy):
            self._several = True
            return
        self._write()
        if self._client.want_write() or self._client.socket() is None:
            self._wake()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the loop; False if it takes longer.

        A handler that goes on is not waited for.
        """
        if self._leader is not None and not self._over.wait(timeout_s):
            return False
        for thread in (self._leader, self._watcher):
            if thread is not None:
                thread.join()  # it has nothing left to wait for
        self._give_back()
        return True

    def _write(self) -> None:
        """Write unless somebody is at it: who is looks again afterwards."""
        client, io = self._client, self._io
        several, self._several = self._several, False
        while client.want_write() and io.acquire(blocking=False):
            sock = client.socket()
            try:
                if several:
                    _set(sock, _CORK, 1)
                client.loop_write()
                if several:
                    _set(sock, _CORK, 0)
            finally:
                io.release()
            if client.want_write():
                return  # the socket is full, or somebody has just added more

    def _wake(self) -> None:
        with suppress(OSError):  # it is awake, or over
            self._wake_writer.send(b"\0")

    def _lead(self) -> None:
        me = threading.current_thread()
        self._leading = threading.get_ident()
        offer_relief(self._take_long)
        try:
            while self._leader is me and (sock := self._client.socket()) is not None:
                self._serve(sock, me)
        except Exception as error:
            self._lost(f"{type(error).__name__}: {error}")
        finally:
            if self._leader is me:
                self._give_back()  # here, too: perhaps nobody waits for it any more
                self._over.set()
                self._watching.set()

    def _give_back(self) -> None:
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _serve(self, sock: Any, me: threading.Thread) -> None:
        """Wait for something to do and do it."""
        readable = self._wait(sock)
        if readable is None:
            return
        if readable:
            with self._io:
                self._client.loop_read()
            if not self._inbox:
                # A broker with Nagle's algorithm would hold back what comes next until TCP has
                # acknowledged this, which takes up to 40 ms.
                _set(sock, _QUICKACK, 1)
        while self._inbox and self._leader is me:
            self._take_next(me)
        if self._leader is me:
            self._write()
            if (now_s := time.monotonic()) >= self._misc_s:
                self._misc_s = now_s + _MISC_S
                self._client.loop_misc()

    def _wait(self, sock: Any) -> bool | None:
        """Wait; return whether something is to be read, None if the socket was closed."""
        wanted = selectors.EVENT_READ
        self._idle = True  # first: who publishes from here on writes, or is seen in what follows
        if self._client.want_write():
            wanted |= selectors.EVENT_WRITE
        try:
            if wanted != self._events:
                self._selector.modify(sock, wanted)
                self._events = wanted
            readable = self._has_more(sock)
            ready = self._selector.select(0 if readable or self._inbox else _MISC_S)
        except (OSError, ValueError, KeyError):
            if self._client.socket() is None:
                return None
            raise
        finally:
            self._idle = False
        for key, events in ready:
            if key.fileobj is self._wake_reader:
                with suppress(BlockingIOError):
                    self._wake_reader.recv(4096)
            elif events & selectors.EVENT_READ:
                readable = True
        return readable

    def _has_more(self, sock: Any) -> bool:
        """Say whether TLS has read something already, which nobody sees on the socket."""
        pending = getattr(sock, "pending", None)
        if pending is None:
            return False
        with self._io:
            return bool(pending())

    def _take_next(self, me: threading.Thread) -> None:
        with self._roles:
            if self._leader is not me or not self._inbox:
                return
            message = self._inbox.popleft()
        try:
            self._handle(message)
        finally:
            with self._roles:
                if self._leader is me:
                    self._busy = False

    def _take_long(self) -> None:
        """Called by the handler of a message, in its thread: let this be relieved from now on."""
        with self._roles:
            if threading.get_ident() != self._leading or self._over.is_set():
                return
            self._handled += 1
            self._busy = True
            watched = self._watching.is_set()
        if not watched:
            self._watch_over()

    def _watch_over(self) -> None:
        self._watching.set()
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="mqtt:relief", daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        """Look after the leader while messages come; lead when it does not come back."""
        seen = 0
        while not self._over.is_set():
            with self._roles:
                stays = self._handled == seen
                if stays and self._busy:
                    self._leader, self._watcher = self._watcher, None
                    self._busy = False
                    self._watching.clear()
                    break
                if stays:
                    self._watching.clear()
                seen = self._handled
            if stays:
                self._watching.wait()
            else:
                self._over.wait(RELIEF_S)
        else:
            return
        self._lead()


def _set(sock: Any, option: int | None, value: int) -> None:
    """Set an option of TCP, where there is one."""
    if option is not None:
        with suppress(OSError, AttributeError):  # it has ended
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _nothing(*_: object) -> None:
    """The loop looks itself whether there is something to write."""
