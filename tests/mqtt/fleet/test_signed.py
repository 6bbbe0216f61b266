"""A fleet that signs, the same on a real mosquitto and on the in-process broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgekernel.core.errors import ForbiddenError
from edgekernel.mqtt import Fleet, RequestRefusedError, Signer
from edgekernel.mqtt.fleet import SignatureSchema
from edgekernel.mqtt.keys import make_pair
from edgekernel.mqtt.signatures import Signatures
from edgekernel.sim import SimClock
from tests.mqtt.fleet.conftest import Enter
from tests.mqtt.parts import Node, settings, staged_node
from tests.stages import SimStage, Stage


@pytest.fixture
def anna(tmp_path: Path) -> Signer:
    """Somebody whose key a node knows."""
    return Signer.read(make_pair("anna", tmp_path)[0])


@contextmanager
def signed_node(stage: Stage, folder: Path, *, required: bool = True) -> Iterator[Node]:
    """Run a node that knows Anna's key."""
    signatures = Signatures({"anna": (folder / "anna.pem").read_bytes()}, required=required)
    with staged_node(stage, signatures=signatures) as n1:
        yield n1


def test_what_is_signed_is_done(stage: Stage, enter: Enter, tmp_path: Path, anna: Signer) -> None:
    """A set, a call and a repetition are carried out in the name of who has signed, checked
    against the schema or not."""
    with signed_node(stage, tmp_path) as n1:
        fleet = enter(signer=anna)
        for value in (True, False, True):
            fleet.set("n1", "lamp/power", value)
            assert n1.lamp.power.get() is value
        fleet.set("n1", "lamp/power", False, check=False)
        assert fleet.call("n1", "room_control.boost", {"minutes": 5})["minutes"] == 5
        stage.until(lambda: len(n1.seen.of("request.answered")) == 5, "the audit")
        found = {(each["principal"], each["outcome"]) for each in n1.seen.of("request.answered")}
        assert found == {("anna", "ok")}
        with pytest.raises(RequestRefusedError, match="no such row"):
            fleet.call("n1", "room_control.fail")


def test_a_node_that_has_restarted(
    stage: Stage, enter: Enter, tmp_path: Path, anna: Signer
) -> None:
    """What is signed for a node is for the start that runs, also in its first moments."""
    with signed_node(stage, tmp_path):
        fleet = enter(signer=anna)
        fleet.set("n1", "lamp/power", True)
    with signed_node(stage, tmp_path) as n1:
        fleet.set("n1", "lamp/power", True)
        assert n1.lamp.power.get() is True


def test_without_a_key(stage: Stage, enter: Enter, tmp_path: Path, anna: Signer) -> None:
    """A node that takes signed requests only is asked for nothing: who would have to sign is
    told; of what is not checked the node says it."""
    with signed_node(stage, tmp_path) as n1:
        fleet = enter()
        assert fleet.schema("n1").signatures == SignatureSchema(True, {"anna": anna.fingerprint})
        with pytest.raises(ForbiddenError, match="n1 takes signed requests only, signed by: anna"):
            fleet.set("n1", "lamp/power", True)
        with pytest.raises(ForbiddenError, match="--key FILE"):
            fleet.call("n1", "room_control.boost")
        assert n1.seen.of("request.answered") == []
        with pytest.raises(RequestRefusedError, match="have to be signed"):
            fleet.set("n1", "lamp/power", True, check=False)
        assert n1.lamp.power.get() is False


def test_with_another_key(stage: Stage, enter: Enter, tmp_path: Path, anna: Signer) -> None:
    """A key that the node does not know, and another one of the same name, are told as such,
    with what it knows, before anything is sent."""
    others = tmp_path / "others"
    others.mkdir()
    eve, false_anna = (Signer.read(make_pair(name, others)[0]) for name in ("eve", "anna"))
    with signed_node(stage, tmp_path, required=False) as n1:
        unknown = "n1 does not know 'eve': it takes requests signed by: anna"
        with pytest.raises(ForbiddenError, match=unknown):
            enter(signer=eve).set("n1", "lamp/power", True)
        with pytest.raises(ForbiddenError, match="n1 knows another key of 'anna': SHA256:") as said:
            enter(signer=false_anna).set("n1", "lamp/power", True)
        assert anna.fingerprint in str(said.value)
        assert false_anna.fingerprint in str(said.value)
        assert n1.seen.of("request.answered") == []


def test_a_node_that_reads_no_signatures(
    stage: Stage, enter: Enter, tmp_path: Path, anna: Signer
) -> None:
    """It is asked without one, which it could not read."""
    with staged_node(stage) as n1:
        fleet = enter(signer=anna)
        assert fleet.schema("n1").signatures is None
        fleet.set("n1", "lamp/power", True)
        assert n1.lamp.power.get() is True


class Behind:
    """A clock whose wall time is so many seconds late."""

    def __init__(self, clock: SimClock, seconds: float) -> None:
        self._clock = clock
        self._late = timedelta(seconds=seconds)

    def now_utc(self) -> datetime:
        return self._clock.now_utc() - self._late

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)


@pytest.mark.parametrize(
    ("seconds", "code"), [(28, ""), (32, "expired"), (-4, ""), (-6, "forbidden")]
)
def test_clocks_that_differ(
    sim_stage: SimStage, tmp_path: Path, anna: Signer, seconds: float, code: str
) -> None:
    """A client's clock may be 30 s late, or 5 s ahead; beyond that the node refuses and says it."""
    clock: Any = Behind(sim_stage.sim_clock, seconds)
    to = settings(sim_stage.port)
    with (
        signed_node(sim_stage, tmp_path) as n1,
        Fleet(to, timeout_s=1.0, signer=anna, clock=clock, medium=sim_stage.medium) as fleet,
    ):
        (outcome,) = fleet.each(["n1"], lambda node: fleet.set(node, "lamp/power", True))
        assert outcome.code == code
        assert n1.lamp.power.get() is (not code)
