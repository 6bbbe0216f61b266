"""A replay in a test: what an application does on what a journal has recorded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekernel.journal.replay import Difference, Replayed
    from edgekernel.journal.replay.expect import Expectation

_SHOWN = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Incident:
    """A replay that has been played. Times are wall times in UTC, as "2026-01-31T12:00:00"."""

    def __init__(self, replayed: Replayed) -> None:
        self.replayed = replayed

    @property
    def differences(self) -> list[Difference]:
        """What is done otherwise than then, in order."""
        return self.replayed.differences

    def assert_none(
        self,
        name: str,
        /,
        *,
        within: float | None = None,
        after: str | None = None,
        **fields: object,
    ) -> None:
        """Assert that no message of a name, with these values in its fields, is emitted."""
        __tracebackhide__ = True
        self._check(name, never=True, within_s=within, after_ns=_ns(after), fields=fields)

    def assert_emitted(
        self,
        name: str,
        /,
        *,
        within: float | None = None,
        after: str | None = None,
        **fields: object,
    ) -> None:
        """Assert that such a message is emitted; `within` so many seconds `after` a time."""
        __tracebackhide__ = True
        self._check(name, within_s=within, after_ns=_ns(after), fields=fields)

    def assert_output(
        self, output: str, value: Any, /, *, within: float | None = None, after: str | None = None
    ) -> None:
        """Assert that an output ("fan.power") is set to a value, or has it already."""
        __tracebackhide__ = True
        self._check(output, value=value, within_s=within, after_ns=_ns(after))

    def assert_same(self) -> None:
        """Assert that everything is done as it was then."""
        __tracebackhide__ = True
        if self.differences:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _check(self, name: str, **expected: Any) -> None:
        __tracebackhide__ = True
        from edgekernel.journal.replay.expect import Expectation

        expectation: Expectation = Expectation(name, **expected)
        problem = expectation.problem(self.replayed)
        if problem:
            raise AssertionError(f"{problem}\n\n{self}")

    def _lines(self) -> Iterator[str]:
        from edgekernel.journal.replay.wording import lines

        yield from (f"note: {note}" for note in self.replayed.notes)
        found = self.differences
        yield f"{len(found)} differences to what was recorded, {self.replayed.agree} acts agree"
        for difference in found[:_SHOWN]:
            yield from lines(difference)
        if len(found) > _SHOWN:
            yield f"... and {len(found) - _SHOWN} more"


def replay_records(node: str, records: str, app: Path) -> Incident:
    """Play records to the application of a node file's text, which is found in the folder `app`.

    `records` is what `edgekernel incident export` has written. Raises ConfigError, RecordingError.
    """
    from edgekernel.journal.replay import choose, plan_of, recordings, replay
    from edgekernel.journal.replay.embed import unembed
    from edgekernel.node.document import parse_toml

    run = choose(recordings(unembed(records)))
    raw = parse_toml(node, "the incident's node file")
    return Incident(replay(run, plan_of(raw, app, run)))


def _ns(moment: str | None) -> int | None:
    if moment is None:
        return None
    read = datetime.fromisoformat(moment)
    aware = read if read.tzinfo else read.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1000
