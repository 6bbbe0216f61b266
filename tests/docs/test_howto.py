"""The how-to pages tell the truth: what they show is run as it stands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from edgekernel import testing
from edgekernel.testing import Node, Simulation
from tests.testing.conftest import PLUGIN, use_these_sources

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/test-an-application.md").read_text("utf-8")


@pytest.fixture
def beside_the_greenhouse(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """A folder with the greenhouse and the page's tests in it."""
    use_these_sources(monkeypatch)
    shutil.copytree(ROOT / "examples/greenhouse", pytester.path, dirs_exist_ok=True)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    pytester.makepyfile(test_greenhouse=block)
    return pytester


def test_the_tests_of_an_application_pass(beside_the_greenhouse: pytest.Pytester) -> None:
    """The page's tests of the greenhouse pass beside its node file, with several seeds too."""
    options = ("-p", "no:cacheprovider", *PLUGIN)
    beside_the_greenhouse.runpytest_subprocess(*options).assert_outcomes(passed=4)
    again = beside_the_greenhouse.runpytest_subprocess(*options, "--edgekernel-seeds", "2")
    again.assert_outcomes(passed=8)


def test_each_is_about_ten_lines() -> None:
    """No test of the page has more than ten lines."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    tests = block.split("\n\n\n")[1:]
    assert len(tests) == 4
    assert max(len(test.strip().splitlines()) for test in tests) <= 10


def test_the_names_of_the_page_exist() -> None:
    """The page shows every name of a node and every assertion, and none that does not exist."""
    house = set(re.findall(r"house\.(\w+)", PAGE)) - {"room", "heater"}  # devices of this house
    assert house == {name for name in dir(Node) if not name.startswith("_")} - {"name"} | {
        "board",
        "bench",
        "events",
        "runtime",
        "simulated",
    }
    sim = Simulation()
    shown = {"house.events": sim.events, "sim": sim, "watch": sim.watch(bool)}
    for prefix, thing in shown.items():
        used = set(re.findall(rf"`{re.escape(prefix)}\.(\w+)", PAGE))
        assert used
        assert used <= set(dir(thing)), prefix
    sim.close()
    assertions = {name for name in testing.__all__ if name.startswith("assert_")}
    assert assertions == set(re.findall(r"`(assert_\w+)\(", PAGE))
