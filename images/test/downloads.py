"""A web server on the loopback interface that gives out files of one folder, and parts of them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.brokers import HOST

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class _Parts(SimpleHTTPRequestHandler):
    """Answers a request for one range of bytes (RFC 9110, section 14); RAUC asks for no other."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if wanted is None or not path.is_file():
            return super().do_GET()
        size = path.stat().st_size
        first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
        if first > last:
            return self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        with path.open("rb") as file:
            file.seek(first)
            self.wfile.write(file.read(last - first + 1))
        return None

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def giving_out(folder: Path) -> Iterator[int]:
    """Give out the files of a folder; gives the port."""
    server = ThreadingHTTPServer((HOST, 0), partial(_Parts, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, name="downloads")
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
