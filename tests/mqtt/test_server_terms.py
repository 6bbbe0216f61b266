"""On which terms a broker takes a client."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgekernel.mqtt.server_terms import NO_TERMS, Terms
from edgekernel.mqtt.transport import Outbound, Properties


def test_what_is_not_said_has_no_limit() -> None:
    """A CONNACK without properties allows everything, as 3.1.1 does."""
    assert Terms.of(SimpleNamespace()) == NO_TERMS
    assert (NO_TERMS.window, NO_TERMS.missing, NO_TERMS.notes(30)) == (0, "", [])


def test_what_is_said_counts() -> None:
    """Each limit is found by its name in MQTT 5."""
    said = SimpleNamespace(
        ReceiveMaximum=20,
        MaximumPacketSize=1000,
        MaximumQoS=1,
        RetainAvailable=1,
        ServerKeepAlive=9,
    )
    terms = Terms.of(said)
    assert terms == Terms(20, 1000, 1, True, 9)
    assert (terms.window, terms.missing, terms.notes(30)) == (20, "", [])


@pytest.mark.parametrize(
    ("terms", "missing"),
    [(Terms(max_qos=0), "qos not supported"), (Terms(retain=False), "retain not supported")],
)
def test_what_we_cannot_do_without(terms: Terms, missing: str) -> None:
    """A broker without acknowledgements, or without retained messages, is not used."""
    assert terms.missing == missing


def test_the_size_counts_everything() -> None:
    """Topic, payload and what goes beside it; at the limit it is sent, and one byte more is not."""
    beside = Properties(user=(("a", "b"),))
    for message, size in (
        (Outbound("\u00e4", bytes(10)), 9 + 2 + 1 + 10),
        (Outbound("a", bytes(10), properties=beside), 9 + 1 + (1 + 1 + 3 + 3) + 10),
    ):
        assert Terms(max_packet=size).too_large(message) == ""
        refusal = Terms(max_packet=size - 1).too_large(message)
        assert refusal == f"packet too large: {size} bytes, and the broker takes {size - 1}"
