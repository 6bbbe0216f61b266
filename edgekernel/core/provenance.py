"""Provenance: how far the value of a computed can be trusted, from the readings behind it.

Nothing is noted while values change. Who asks for it makes a computed that looks at what the one
asked about has read, and what that has read, down to the signals that hold a `Sample`, and depends
on all of them; it changes only when value, quality or reason do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from edgekernel.core.computed import Computed
from edgekernel.core.errors import BadReadingError, describe
from edgekernel.core.graph import END, Source
from edgekernel.core.sample import Quality, Sample

if TYPE_CHECKING:
    from edgekernel.core.signals import Signal

T = TypeVar("T")

_DISPOSED: Sample[Any] = Sample(None, Quality.UNCERTAIN, 0, "disposed, it follows no reading")


def sample_of(computed: Computed[T]) -> Computed[Sample[T]]:
    """Return what a computed is worth, as a computed itself; the same one while it is in use."""
    known: Computed[Sample[T]] | None = getattr(computed, "_sample", _nobody)()
    if known is None or computed._function is None:  # disposed: it tells of no change
        known = Computed(
            lambda: _derive(computed),
            equals=Sample.says_the_same,
            name=f"sample of {computed.name}",
        )
        computed._sample = ref(known)  # weak: it keeps the computed, not the other way round
    return known


def _nobody() -> None:
    return None


def _derive(computed: Computed[T]) -> Sample[T]:
    """Read a computed and everything behind it.

    The worst quality wins, the first one read among equals. The time is that of the oldest sample,
    0 where there is none.
    """
    value: T | None = None
    quality, reason = Quality.GOOD, ""
    times_ns: list[int] = []
    try:
        value = computed.get()
    except BadReadingError as error:
        quality, reason = Quality.BAD, str(error)
    except Exception as error:  # whatever it is, there is no value
        quality, reason = Quality.BAD, f"{computed.name}: {describe(error)[0]}"
    for name, sample in _samples_behind(computed):
        if sample.quality.worse_than(quality):
            quality, reason = sample.quality, f"{name}: {sample.reason}"
        times_ns.append(sample.time_ns)
    return Sample(value, quality, min(times_ns, default=0), reason)


def _samples_behind(computed: Computed[Any]) -> Iterator[tuple[str, Sample[Any]]]:
    """Give each sample that a computed depends on, with its name; read all on the way.

    What holds no sample is read as well: it may decide which readings are asked.
    """
    seen: set[Source] = {END, computed}
    waiting: list[Source] = [computed]
    while waiting:  # not by recursion: chains are longer than the stack
        source = waiting.pop()
        if isinstance(source, Computed):
            if source._function is None:
                yield source.name, _DISPOSED
            ahead = [each for each in source._deps if each not in seen]
            seen.update(ahead)
            waiting += reversed(ahead)
            continue
        signal: Signal[Any] = source  # type: ignore[assignment]  # there is nothing else
        held = signal.get()
        if isinstance(held, Sample):
            yield signal.name, held
