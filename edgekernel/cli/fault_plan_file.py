"""The file of a fault plan on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekernel.core.errors import ConfigError


@contextmanager
def naming(file: Path | None) -> Iterator[None]:
    """Put the name of the file before what is wrong with the faults in it."""
    try:
        yield
    except ConfigError as error:
        name = "" if file is None else f"{file.name}: "
        problems = (name + p if p.startswith("fault.") else p for p in error.problems)
        raise ConfigError(*problems) from error
