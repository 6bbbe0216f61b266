"""A fleet that knows several brokers, in simulated time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from edgekernel.mqtt import Fleet, NoAnswerError
from edgekernel.mqtt.transport import Medium
from edgekernel.sim.broker import Publication
from tests.mqtt.brokers_sim import Several


@pytest.fixture
def several() -> Iterator[Several]:
    """Three brokers."""
    with ExitStack() as stack:
        yield Several(stack)


def fleet(several: Several) -> Fleet:
    """Return a fleet that knows two of them."""
    medium = Medium(several.transport)
    return Fleet(several.settings("ab"), timeout_s=5.0, clock=several.clock, medium=medium)


def test_it_takes_the_one_that_is_there(several: Several) -> None:
    """A preferred broker that is away is passed over, and the nodes on the other are found."""
    status = Publication("edge/n1/status", b'{"state": "online"}', 1, True)
    several.brokers["b"].publish(status)
    several.brokers["a"].stop()
    with fleet(several) as found:
        assert [each.name for each in found.nodes()] == ["n1"]


def test_none_is_there(several: Several) -> None:
    """Then each is told, with what is wrong with it."""
    several.brokers["a"].stop()
    several.brokers["b"].troubles.refuses = True
    with pytest.raises(NoAnswerError) as caught, fleet(several):
        pass
    one, two = str(caught.value).splitlines()
    assert one.startswith("a:1883 cannot be reached: connection refused")
    assert two.startswith("b:1883 refused the connection: not authorized")
