"""Carries one connection of the guest to a port of this computer: QEMU starts it for each."""

import os
import selectors
import socket
import sys

server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
selector = selectors.DefaultSelector()
for end in (0, server.fileno()):
    selector.register(end, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        data = os.read(key.fd, 65536)
        if not data:
            sys.exit()
        target = 1 if key.fd else server.fileno()
        while data:
            data = data[os.write(target, data) :]
