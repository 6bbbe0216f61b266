"""Lines of a serial port that may be lost and come back, for devices that talk by themselves."""

from __future__ import annotations

from edgekernel.hal.lasting import LastingPort


class LineReader:
    """Cuts what a port receives into lines, however it comes in.

    After each opening of the port the first line may lack its beginning: what comes before its
    end is dropped, unless the lines carry a checksum (`checked`) and their reader can tell.
    """

    def __init__(
        self, port: LastingPort, longest: int, *, end: bytes = b"\n", checked: bool = False
    ) -> None:
        """Cut after each `end`; a line has at most `longest` bytes without it.

        Of a longer one nothing is handed out; with `checked` its last bytes are, because noise
        may stand in front of a line.
        """
        self._port = port
        self._longest = longest
        self._end = end
        self._checked = checked
        self._openings = port.openings
        self._rest = b""
        self._skipping = not checked
        self.dropped = 0
        """How many bytes were dropped, line ends aside."""

    def poll(self) -> list[bytes]:
        """Return the lines whose end has been received since the last call, without their ends.

        Opens the port anew if it was lost. Raises BoundaryError if that fails or it gets lost.
        """
        with self._port.in_use() as port:
            received = port.read_available()
        if self._port.openings != self._openings:
            self._openings = self._port.openings
            self.dropped += len(self._rest)
            self._rest, self._skipping = b"", not self._checked
        *lines, self._rest = (self._rest + received).split(self._end)
        whole = [line for line in map(self._line, lines) if line is not None]
        self._shorten_rest()
        return whole

    def _line(self, line: bytes) -> bytes | None:
        """Return what is to be handed out of a line that has ended."""
        if self._skipping or (len(line) > self._longest and not self._checked):
            self._skipping = False
            self.dropped += len(line)
            return None
        self.dropped += max(0, len(line) - self._longest)
        return line[-self._longest :]

    def _shorten_rest(self) -> None:
        """Keep no more of a line that has not ended than can be of use."""
        if self._checked:
            # With what may be the beginning of its end.
            keep = self._longest + len(self._end) - 1
        elif self._skipping or len(self._rest) >= self._longest + len(self._end):
            self._skipping = True
            keep = len(self._end) - 1
        else:
            return
        excess = max(0, len(self._rest) - keep)
        self._rest = self._rest[excess:]
        self.dropped += excess
