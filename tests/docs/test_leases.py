"""docs/leases.md tells the truth: its command and its program are run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docs.page import Page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page, and the greenhouse with its lease."""
    page = Page("leases.md", tmp_path_factory.mktemp("greenhouse"))
    with page.running(tmp_path_factory.mktemp("broker")):
        yield page


def test_the_command(page: Page) -> None:
    """It shows what needs the lease, and that it is released."""
    ((words, _),) = page.commands()
    done = page.edgekernel(words)
    assert (done.returncode, done.stderr) == (0, "")
    first, *needing, last = done.stdout.splitlines()
    assert first.startswith("greenhouse-1: lease controller is held by ")
    assert needing == [
        "  heater.power: free; safe is off",
        "  climate.set_target: may be called",
    ]
    assert last == "greenhouse-1: lease controller released: its outputs are safe now"


def test_the_program(page: Page) -> None:
    """The page's program holds the lease, sets the heater and loses nothing."""
    done = page.program()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "True ('heater.power',)\n"
