"""Leases held by a fleet, on a real mosquitto and on the in-process broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekernel import Runtime
from edgekernel.core.errors import ForbiddenError, InvalidValueError, UnknownTargetError
from edgekernel.core.lease import LeaseTerms
from edgekernel.core.leases import Leases
from edgekernel.mqtt import Fleet, NoAnswerError, RequestRefusedError, Signer
from edgekernel.mqtt.fleet import LeaseState
from edgekernel.mqtt.keys import make_pair
from edgekernel.mqtt.signatures import Signatures
from tests.mqtt.fleet.conftest import Enter
from tests.mqtt.parts import Node, settings, staged_node
from tests.stages import SimStage, Stage

TIMEOUT_S = 10.0
TERMS = {"hand": LeaseTerms(TIMEOUT_S, ("lamp.power",), ("room_control.boost",))}


@contextmanager
def leased_node(
    stage: Stage, terms: dict[str, LeaseTerms] = TERMS, **others: object
) -> Iterator[Node]:
    """Run a node whose lamp, and a command, need the lease of a hand."""

    def prepare(runtime: Runtime) -> None:
        runtime.register(Leases(runtime, terms))

    with staged_node(stage, prepare=prepare, **others) as n1:  # type: ignore[arg-type]
        yield n1


def test_held_while_the_context_lasts(stage: Stage, enter: Enter) -> None:
    """Inside what needs it works; at the end it is safe at once."""
    with leased_node(stage) as n1:
        fleet = enter()
        with pytest.raises(RequestRefusedError, match="lease hand is not held"):
            fleet.set("n1", "lamp/power", True)
        with fleet.lease("n1", "hand") as lease:
            fleet.set("n1", "lamp/power", True)
            assert (lease.held, lease.get(0)) == (True, None)
            assert n1.lamp.power.readback.get() is True
        assert not lease.held
        stage.until(lambda: n1.seen.of("lease.lost"), "the end")
        assert n1.seen.of("lease.lost")[0]["reason"] == "released"
        stage.until(lambda: n1.lamp.power.readback.get() is False, "a safe lamp")


def test_rights_that_are_taken_away(sim_stage: SimStage) -> None:
    """A lease that the broker does not let us renew any more, nor give up, is lost with the reason,
    and ends by itself."""
    with leased_node(sim_stage) as n1, sim_fleet(sim_stage) as fleet:
        lease = fleet.lease("n1", "hand").__enter__()
        fleet.set("n1", "lamp/power", True)
        sim_stage.broker.troubles.denies = "edge/n1/lease/hand".__eq__
        change = lease.get(TIMEOUT_S)
        assert change is not None
        assert not change.held
        assert "edge/n1/lease/hand: not authorized" in change.reason
        with pytest.raises(ForbiddenError, match="was not given up, and ends by itself"):
            lease.__exit__(None, None, None)
        sim_stage.until(lambda: n1.lamp.power.readback.get() is False, "a safe lamp")


def test_held_for_longer_than_its_time(sim_stage: SimStage) -> None:
    """It is renewed in an hour as often as it takes, and never lost."""
    with leased_node(sim_stage) as n1, sim_fleet(sim_stage) as fleet:
        with fleet.lease("n1", "hand") as lease:
            fleet.set("n1", "lamp/power", True)
            sim_stage.sim_clock.advance(3600)
            assert (lease.held, lease.get(0)) == (True, None)
            assert n1.lamp.power.readback.get() is True
            assert n1.seen.of("lease.lost") == []
        sim_stage.sim_clock.advance(0.01)
        assert n1.lamp.power.readback.get() is False


def test_let_go(sim_stage: SimStage) -> None:
    """Without a release, as after a kill, it is safe when its time is over and not before."""
    clock = sim_stage.sim_clock
    with leased_node(sim_stage) as n1, sim_fleet(sim_stage) as fleet:
        with fleet.lease("n1", "hand", every_s=1.0, release=False):
            fleet.set("n1", "lamp/power", True)
            clock.advance(30)
        left_s = clock.monotonic()
        clock.advance(TIMEOUT_S - 1.5)
        assert n1.lamp.power.readback.get() is True
        clock.advance(1.6)
        assert n1.lamp.power.readback.get() is False
        assert clock.monotonic() <= left_s + TIMEOUT_S + 0.2


def sim_fleet(stage: SimStage, **others: object) -> Fleet:
    """Return a fleet in simulated time."""
    to = settings(stage.port)
    return Fleet(to, clock=stage.clock, medium=stage.medium, **others)  # type: ignore[arg-type]


def test_what_it_needs_is_said_first(sim_stage: SimStage) -> None:
    """The terms are those of the node; a lease that is not there, or would be renewed too seldom,
    is refused."""
    with leased_node(sim_stage), sim_fleet(sim_stage) as fleet:
        lease = fleet.lease("n1", "hand")
        assert (lease.terms.outputs, lease.terms.commands) == (
            ("lamp.power",),
            ("room_control.boost",),
        )
        assert lease.every_s == pytest.approx(TIMEOUT_S / 3)
        with pytest.raises(UnknownTargetError, match="no lease 'hnad'; did you mean 'hand'"):
            fleet.lease("n1", "hnad")
        with pytest.raises(InvalidValueError, match="is lost after 10 s: renew it more often"):
            fleet.lease("n1", "hand", every_s=10)
        with pytest.raises(UnknownTargetError, match="no node 'n2'"):
            fleet.lease("n2", "hand")


def test_one_holder(sim_stage: SimStage) -> None:
    """While one holds it another is refused; of two fleets each is another one."""
    with leased_node(sim_stage), sim_fleet(sim_stage) as one, sim_fleet(sim_stage) as two:
        with (
            one.lease("n1", "hand", holder="scada-1"),
            pytest.raises(RequestRefusedError, match="lease hand is held by scada-1"),
            two.lease("n1", "hand"),
        ):
            raise AssertionError("never entered")
        with one.lease("n1", "hand"), pytest.raises(RequestRefusedError), two.lease("n1", "hand"):
            raise AssertionError("never entered")


def test_the_broker_is_away(sim_stage: SimStage) -> None:
    """It counts as lost when its time is over, as on the node, and is held again when the broker
    is back; each is told."""
    clock = sim_stage.sim_clock
    with (
        leased_node(sim_stage) as n1,
        sim_fleet(sim_stage) as fleet,
        fleet.lease("n1", "hand") as lease,
    ):
        clock.advance(20)
        sim_stage.kill()
        clock.advance(TIMEOUT_S - 4)
        assert lease.held
        clock.advance(5)
        assert not lease.held
        assert len(n1.seen.of("lease.lost")) == 1
        assert lease.get(0) == LeaseState(False, "no answer for 10 s")
        sim_stage.start()
        assert lease.get(120) == LeaseState(True)
        assert len(n1.seen.of("lease.held")) == 2


def test_the_node_starts_anew(sim_stage: SimStage) -> None:
    """A node that goes has lost it, and one that comes is told at once that its controller is
    there."""
    with sim_fleet(sim_stage) as fleet:
        with leased_node(sim_stage):
            lease = fleet.lease("n1", "hand")
            lease.__enter__()
            sim_stage.sim_clock.advance(1)
        state = lease.get(1)
        assert state is not None
        assert (state.held, state.reason.startswith("n1 is offline: ")) == (False, True)
        sim_stage.sim_clock.advance(100)
        with leased_node(sim_stage) as n1:
            sim_stage.sim_clock.advance(0.5)
            assert lease.get(0) == LeaseState(True)
            assert n1.seen.of("lease.held") != []
            lease.__exit__(None, None, None)
            assert n1.seen.of("lease.lost") != []


def test_taken_by_another(sim_stage: SimStage) -> None:
    """If another one has got it meanwhile, the node's reason is told."""
    with leased_node(sim_stage) as n1, sim_fleet(sim_stage) as fleet:
        with fleet.lease("n1", "hand", holder="me") as lease:
            leases = n1.runtime.outputs.leases
            assert leases is not None
            leases.get("hand").release("me")
            leases.get("hand").renew("you")
            assert lease.get(10) == LeaseState(False, "lease hand is held by you")
        assert leases.get("hand").held


def test_signed(sim_stage: SimStage, tmp_path: Path) -> None:
    """Where requests have to be signed, renewals and the release are, also for the next start;
    without the key nothing is held."""
    private, public = make_pair("anna", tmp_path)
    signatures = Signatures({"anna": public.read_bytes()}, required=True)
    with sim_fleet(sim_stage, signer=Signer.read(private)) as fleet:
        with leased_node(sim_stage, signatures=signatures) as n1:
            with pytest.raises(ForbiddenError), sim_fleet(sim_stage) as bare:
                bare.lease("n1", "hand").__enter__()
            with fleet.lease("n1", "hand") as lease:
                sim_stage.sim_clock.advance(60)
                assert lease.held
                assert n1.seen.of("lease.lost") == []
            assert len(n1.seen.of("lease.lost")) == 1
            again = fleet.lease("n1", "hand")
            again.__enter__()
        with leased_node(sim_stage, signatures=signatures) as n1:
            sim_stage.sim_clock.advance(0.5)
            assert n1.seen.of("lease.held") != []
            again.__exit__(None, None, None)
        assert n1.seen.of("command.refused") == []


def hold_until_the_broker_dies(stage: SimStage, fleet: Fleet, error: Exception | None) -> None:
    """Hold the lease, and leave it when nobody hears that."""
    with fleet.lease("n1", "hand"):
        stage.kill()
        if error is not None:
            raise error


def test_a_release_that_is_not_heard(sim_stage: SimStage) -> None:
    """It is told, with when the lease ends; beside another error as a note to that."""
    with leased_node(sim_stage), sim_fleet(sim_stage) as fleet:
        with pytest.raises(NoAnswerError, match="ends by itself 10 s after its last renewal"):
            hold_until_the_broker_dies(sim_stage, fleet, None)
        sim_stage.start()
        sim_stage.sim_clock.advance(60)
        with pytest.raises(ValueError, match="mine") as raised:
            hold_until_the_broker_dies(sim_stage, fleet, ValueError("mine"))
        assert "was not given up" in raised.value.__notes__[0]
