"""The pytest plugin: fixtures, options and reports. It is loaded in every run of pytest.

What simulates is imported when a test first asks for it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from edgekernel.core.runtime import Runtime
from edgekernel.testing.incident import Incident, replay_records
from edgekernel.testing.node import Faults, Node, SetUp, applications_forgotten, start_node
from edgekernel.testing.seeds import Wanted, identify
from edgekernel.testing.simulation import Simulation

_simulation = pytest.StashKey[Simulation]()


class NodeFactory(Protocol):
    """What the fixture `node` is."""

    def __call__(
        self, source: str | Path, *, setup: SetUp | None = None, faults: Faults = ()
    ) -> Node:
        """Boot a node from a file, or from the text of one; see `start_node`."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for seeds and for the check of leaks."""
    group = parser.getgroup("edgekernel", "simulated time (edgekernel)")
    group.addoption(
        "--edgekernel-seed",
        type=int,
        metavar="N",
        help="Run all simulations with this seed, which chooses the order of what is due at once.",
    )
    group.addoption(
        "--edgekernel-seeds",
        type=_positive,
        metavar="N",
        help="Run each test that simulates with N seeds, from --edgekernel-seed (0) on.",
    )
    group.addoption(
        "--edgekernel-no-leak-check",
        action="store_true",
        help="Let simulated tests leave threads, fibers, ports, lines and buses behind.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "seeds(n): run a test that simulates with n seeds, each another order."
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that simulates once with each seed that is wanted."""
    if "edgekernel_seed" not in metafunc.fixturenames or _states_its_seeds(metafunc.definition):
        return
    seeds = _wanted(metafunc.config).seeds(_marked(metafunc.definition))
    if seeds is not None:
        metafunc.parametrize("edgekernel_seed", seeds, ids=map(identify, seeds))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failure what there is to know of its simulation."""
    report = yield
    simulation = item.stash.get(_simulation, None)
    if simulation is not None and report.failed:
        from edgekernel.testing.report import describe

        report.sections.append(("edgekernel", describe(simulation, item.nodeid)))
    return report


@pytest.fixture
def edgekernel_seed(pytestconfig: pytest.Config) -> int | None:
    """Return the seed of this test; None is the order of waiting."""
    return _wanted(pytestconfig).seed


@pytest.fixture
def sim(request: pytest.FixtureRequest, edgekernel_seed: int | None) -> Iterator[Simulation]:
    """Give simulated time and a simulated board; see `edgekernel.testing.Simulation`.

    A test that leaves a thread, fiber, open line, bus or port behind fails.
    """
    from edgekernel.testing.leaks import ThreadsAndPorts

    process = ThreadsAndPorts()
    simulation = Simulation(edgekernel_seed)
    item: pytest.Item = request.node
    item.stash[_simulation] = simulation
    try:
        yield simulation
    finally:
        left = simulation.close() + process.left()
    if left and not request.config.getoption("--edgekernel-no-leak-check"):
        pytest.fail("left behind:\n" + "\n".join(f"  {each}" for each in left), pytrace=False)


@pytest.fixture
def node(request: pytest.FixtureRequest, sim: Simulation) -> Iterator[NodeFactory]:
    """Give a function that boots a node: `node("greenhouse.toml")`, or with the file's text.

    A path is looked up beside the test, then in the current folder; the application of a text
    beside the test. `setup=` registers parts, as an application does. `faults=` is a fault plan
    that is played: a file, the text of one, or Fault objects. The node is shut down at the end of
    the test.
    """

    def boot(source: str | Path, *, setup: SetUp | None = None, faults: Faults = ()) -> Node:
        return start_node(sim, source, request.path.parent, setup, faults)

    with applications_forgotten():
        yield boot


class Replay(Protocol):
    """What the fixture `replay` is."""

    def __call__(self, node: str, records: str, *, app: Path | None = None) -> Incident:
        """Play records of a journal to an application; see `replay_records`."""
        ...


@pytest.fixture
def replay(request: pytest.FixtureRequest) -> Iterator[Replay]:
    """Give a function that plays what `edgekernel incident export` has written into a test.

    It is given the text of a node file and the records; the application is found in the folder
    `app`, or beside the test.
    """

    def play(node: str, records: str, *, app: Path | None = None) -> Incident:
        return replay_records(node, records, app or request.path.parent)

    with applications_forgotten():
        yield play


@pytest.fixture
def runtime(sim: Simulation) -> Runtime:
    """Give a running runtime on the simulated clock, to `register` parts with."""
    made = Runtime(name="test", clock=sim.clock)
    sim.boot(made)
    return made


def _wanted(config: pytest.Config) -> Wanted:
    return Wanted(config.getoption("--edgekernel-seed"), config.getoption("--edgekernel-seeds"))


def _marked(definition: pytest.Item) -> int | None:
    """Return the number of seeds in a test's mark. Raises UsageError for what is no number."""
    mark = definition.get_closest_marker("seeds")
    if mark is None:
        return None
    match mark.args:
        case (int(count),) if count > 0 and not mark.kwargs:
            return count
    raise pytest.UsageError(
        f"{definition.nodeid}: @pytest.mark.seeds takes one number above 0, as in "
        "@pytest.mark.seeds(100)"
    )


def _states_its_seeds(definition: pytest.Item) -> bool:
    """Say whether a test has its own `parametrize("edgekernel_seed", ...)`."""
    return any(
        "edgekernel_seed" in str(mark.args[:1]) for mark in definition.iter_markers("parametrize")
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is not above 0")
    return number
