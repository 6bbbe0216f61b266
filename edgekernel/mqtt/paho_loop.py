"""Who reads and writes the socket of a paho client, through what paho offers to foreign loops, and
past paho where there is a `wire`.

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

from edgekernel.mqtt.publish_packets import Packet
from edgekernel.mqtt.relief import offer_relief

if TYPE_CHECKING:
    from paho.mqtt import client as paho

    from edgekernel.mqtt.wire import Wire

RELIEF_S = 0.1
"""A handler that may take long and takes this long, or twice as long, has its thread relieved."""

_MISC_S = 1.0
"""How often paho looks at its keep-alive."""

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_CORK: int | None = getattr(socket, "TCP_CORK", None)
"""Both are Linux's only; without them all takes a little longer."""

_MOST_READ = 1000
"""Packets that are read and wait for their turn; with more, the broker keeps the rest."""


class PahoLoop:
    """Serves the connection of one client until it ends. Every method is for any thread."""

    def __init__(
        self,
        client: paho.Client,
        hear: Callable[[Packet], bool],
        read: Callable[[Packet], tuple[Any, bytes] | None],
        handle: Callable[[Any], object],
        lost: Callable[[str], object],
    ) -> None:
        """Prepare. `hear` is given each packet that arrives on a wire, as soon as it is there, and
        returns whether it is an answer. `read` is given each other one in its turn, and returns the
        message and what acknowledges it; None for a packet that is the client's. `handle` is given
        the messages, one after the other. `lost` is told if the loop itself fails."""
        self._client = client
        self._wire: Wire | None = None
        self._hear = hear
        self._read_message = read
        self._handle = handle
        self._lost = lost
        self._io = threading.Lock()
        """Held by whoever is in paho's reading or writing; by nobody while a handler runs."""
        self._inbox: deque[Any] = deque()  # packets, and messages that the client has read
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
        self._has_spoken = False  # the leader, in the handler that it is in
        self._handled = 0
        client.on_socket_register_write = _nothing  # or paho itself would write when it likes

    def start(self, wire: Wire | None = None) -> None:
        """Serve the connection that the client has made, on a thread of its own; `wire` is its
        socket, if that has a way past the client."""
        self._wire = wire
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        sock: Any = self._client.socket()
        if sock is not None:  # else it has ended already
            self._selector.register(sock, selectors.EVENT_READ)
        self._events = selectors.EVENT_READ
        leader = self._leader = threading.Thread(target=self._lead, name="mqtt:net", daemon=True)
        leader.start()

    def arrived(self, message: Any) -> None:
        """Called by the client: let a message be handled when the client has been left."""
        self._several = True  # its acknowledgement leaves with the first answer
        self._inbox.append(message)

    def write(self) -> None:
        """Write what waits in the client; what cannot be written now the loop will.

        While the loop is at work it writes itself, all there is in one piece. What a handler that
        may take long says first goes out at once, and the rest when it ends or is relieved.
        """
        if not (self._idle or self._busy):
            self._several = True
            return
        if self._wire is not None and threading.get_ident() == self._leading:
            if self._has_spoken:
                return
            self._has_spoken = True
        self._write()
        if self._wants_write() or self._is_broken():
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

    def _wants_write(self) -> bool:
        wire = self._wire
        return (wire is not None and wire.wants_write) or self._client.want_write()

    def _is_broken(self) -> bool:
        wire = self._wire
        return self._client.socket() is None or (wire is not None and wire.is_broken)

    def _write(self) -> None:
        """Write unless somebody is at it: who is looks again afterwards."""
        goes_on = True
        while goes_on and self._wants_write() and self._io.acquire(blocking=False):
            try:
                goes_on = self._write_on(self._wire) if self._wire else self._write_through()
            finally:
                self._io.release()

    def _write_on(self, wire: Wire) -> bool:
        """Write all there is in one piece; return whether more could be."""
        if not self._client.want_write():
            return wire.flush()
        self._client.loop_write()
        return not self._client.want_write()  # else the socket is full, or somebody has added more

    def _write_through(self) -> bool:
        """Let the client write; return whether more could be."""
        sock = self._client.socket()
        several, self._several = self._several, False
        if several:
            _set(sock, _CORK, 1)
        self._client.loop_write()
        if several:
            _set(sock, _CORK, 0)
        return not self._client.want_write()

    def _wake(self) -> None:
        with suppress(OSError):  # it is awake, or over
            self._wake_writer.send(b"\0")

    def _lead(self) -> None:
        me = threading.current_thread()
        self._leading = threading.get_ident()
        offer_relief(self._take_long)
        try:
            self._write()  # what was said by who is relieved
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
        if readable and len(self._inbox) < _MOST_READ:
            self._read()
            if not self._inbox:
                # A broker with Nagle's algorithm would hold back what comes next until TCP has
                # acknowledged this, which takes up to 40 ms.
                _set(sock, _QUICKACK, 1)
        while self._inbox and self._leader is me:
            if self._take_next(me):
                break  # before the next, what it has said leaves, and the answers to that are read
        if self._leader is me:
            self._write()
            if (now_s := time.monotonic()) >= self._misc_s:
                self._misc_s = now_s + _MISC_S
                self._client.loop_misc()

    def _read(self) -> None:
        wire = self._wire
        if wire is None:
            self._read_through()
            return
        with self._io:
            packets = wire.receive()
        self._inbox.extend(each for each in packets if not self._hear(each))
        if wire.is_over and not self._inbox:
            self._read_through()

    def _leave(self, packet: Packet, wire: Wire) -> None:
        """Leave a packet to the client; the messages that it makes of it are the next."""
        behind = len(self._inbox)
        wire.leave(packet)
        self._read_through()
        self._inbox.rotate(len(self._inbox) - behind)
        if self._client.socket() is None:
            self._inbox.clear()  # what follows a goodbye is not for us

    def _read_through(self) -> None:
        with self._io:
            self._client.loop_read()

    def _wait(self, sock: Any) -> bool | None:
        """Wait; return whether something is to be read, None if the socket was closed."""
        wanted = selectors.EVENT_READ
        self._idle = True  # first: who publishes from here on writes, or is seen in what follows
        if self._wants_write():
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
        """Say whether there is something to read that nobody sees on the socket: what TLS has read
        already, or the end of a wire."""
        if self._wire is not None and (self._wire.is_broken or self._wire.is_over):
            return True
        pending = getattr(sock, "pending", None)
        if pending is None:
            return False
        with self._io:
            return bool(pending())

    def _take_next(self, me: threading.Thread) -> bool:
        """Take what is next; return whether it was what may take long."""
        with self._roles:
            if self._leader is not me or not self._inbox:
                return False
            message = self._inbox.popleft()
        wire = self._wire
        if wire is not None and isinstance(message, Packet):
            found = self._read_message(message)
            if found is None:
                self._write()  # a goodbye may come, and what was handled is to be acknowledged
                self._leave(message, wire)
                return False
            message, acknowledgement = found
            if acknowledgement:
                wire.put(acknowledgement)
        self._has_spoken = took_long = False
        try:
            self._handle(message)
        finally:
            with self._roles:
                if self._leader is me:
                    took_long, self._busy = self._busy, False
        return took_long

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
