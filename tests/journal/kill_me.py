"""Writes records for ever and prints the number of each when it is safe; killed by a test."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from edgekernel.journal.folder import Limits
from edgekernel.journal.records import EventRecord
from edgekernel.journal.segment_sink import SegmentSink


def main(folder: str, seed: str) -> None:
    """Write to a folder; the seed chooses when it is flushed."""
    chance = random.Random(seed)
    sink = SegmentSink(Path(folder), Limits(max_bytes=1_000_000))
    while True:
        number = sink.number
        payload = {"number": number, "filling": chance.randbytes(chance.randrange(300))}
        sink.write(EventRecord(number, number, number, "me", None, None, "counted", 20, payload))
        if chance.random() < 0.3:
            sink.flush()
            print(sink.number - 1, flush=True)  # noqa: T201 (this is how the test hears of it)


if __name__ == "__main__":
    main(*sys.argv[1:])
