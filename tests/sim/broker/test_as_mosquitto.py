"""The in-process broker does what mosquitto does: the same tests on both."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest

from edgekernel.mqtt.transport import NOTHING_BESIDE, Properties
from edgekernel.sim.broker import Publication, matches
from tests.stages import KINDS, USERS, Got, Peer, Stage, staged

WILL = Publication("will", b"gone", qos=1, retain=True)


def got(peer: Peer, stage: Stage, count: int) -> list[Got]:
    """Wait until a peer has got so many messages; return them."""
    stage.until(lambda: len(peer.received) >= count, f"message {count} of {peer.received}")
    return list(peer.received)


def payloads(messages: list[Got]) -> list[bytes]:
    """Return what messages say."""
    return [message.payload for message in messages]


def test_wildcards(stage: Stage) -> None:
    """Filters and topics of chance match as `matches` says, empty levels and "$" included."""
    random = Random(5)
    topics = sorted({_levels(random, ["a", "b", "", "$x"], 4) for _ in range(40)} - {""})
    publisher = stage.peer("publisher")
    for number in range(40):
        filter = _levels(random, ["a", "b", "", "+", "+", "$x"], 3)
        filter += random.choice(["", "/#", "/#"])
        if not filter:
            continue
        peer = stage.peer(f"peer{number}")
        peer.subscribe(filter, 0)
        peer.subscribe("end", 0)
        for topic in topics:
            publisher.publish(topic, b"", qos=0)
        publisher.publish("end", b"", qos=0)
        stage.until(partial(_has_ended, peer), "the end")
        expected = [topic for topic in topics if matches(filter, topic)]
        assert [each.topic for each in peer.received[:-1]] == expected, filter
        peer.close()


def _has_ended(peer: Peer) -> bool:
    return any(each.topic == "end" for each in peer.received)


def _levels(random: Random, levels: list[str], most: int) -> str:
    chosen = "/".join(random.choices(levels, k=random.randint(1, most)))
    return chosen.replace("/$x", "/b")  # "$" is something special at the beginning only


@pytest.mark.parametrize(
    ("published", "subscribed", "delivered"), [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)]
)
def test_qos(stage: Stage, published: int, subscribed: int, delivered: int) -> None:
    """A message comes at the lower of both QoS, live and retained."""
    peer, publisher = stage.peer("peer"), stage.peer("publisher")
    peer.subscribe("a", subscribed)
    publisher.publish("a", "live", qos=published, retain=True)
    (live,) = got(peer, stage, 1)
    assert live == Got("a", b"live", delivered, False, False)
    late = stage.peer("late")
    late.subscribe("a", subscribed)
    (kept,) = got(late, stage, 1)
    assert kept == Got("a", b"live", delivered, True, False)


def test_overlapping_filters_deliver_once(stage: Stage) -> None:
    """A message that two filters match comes once."""
    peer, publisher = stage.peer("peer"), stage.peer("publisher")
    peer.subscribe("a/+")
    peer.subscribe("a/#")
    publisher.publish("a/b", "1")
    publisher.publish("a/b", "2")
    assert payloads(got(peer, stage, 2)) == [b"1", b"2"]


def test_retained_is_replaced_and_cleared(stage: Stage) -> None:
    """Of each topic the last message is kept; an empty one takes it away and is told live."""
    publisher, live = stage.peer("publisher"), stage.peer("live")
    live.subscribe("#")
    for topic, payload in (("a", "1"), ("a", "2"), ("b", "3"), ("b", "")):
        publisher.publish(topic, payload, retain=True)
    publisher.publish("c", "not kept")
    assert payloads(got(live, stage, 5)) == [b"1", b"2", b"3", b"", b"not kept"]
    assert not any(each.retained for each in live.received)
    late = stage.peer("late")
    late.subscribe("#")
    publisher.publish("end", "")
    assert [(m.topic, m.payload, m.retained) for m in got(late, stage, 2)] == [
        ("a", b"2", True),
        ("end", b"", False),
    ]


def test_subscribing_again_brings_the_retained_again(stage: Stage) -> None:
    """What is retained comes at each subscription."""
    peer = stage.peer("peer")
    peer.publish("a", "1", retain=True)
    peer.subscribe("a")
    got(peer, stage, 1)
    peer.subscribe("a")
    assert payloads(got(peer, stage, 2)) == [b"1", b"1"]


def test_the_will_follows_a_loss_but_no_goodbye(stage: Stage) -> None:
    """A connection that ends without a goodbye brings the will, retained."""
    watcher = stage.peer("watcher")
    watcher.subscribe("#")
    stage.peer("polite", will=WILL).close()
    watcher.publish("mark", "")
    assert [each.topic for each in got(watcher, stage, 1)] == ["mark"]
    stage.peer("gone", will=WILL).drop()
    assert got(watcher, stage, 2)[1] == Got("will", b"gone", 1, False, False)
    late = stage.peer("late")
    late.subscribe("will")
    assert got(late, stage, 1)[0].retained


def test_silence_is_a_loss(stage: Stage) -> None:
    """Who sends nothing for 1.5 times its keep-alive has its will published."""
    watcher = stage.peer("watcher")
    watcher.subscribe("will")
    silent = stage.peer("silent", will=WILL, keepalive_s=1)
    chatty = stage.peer("chatty", will=Publication("will", b"wrong"), keepalive_s=1)
    begun_s = stage.clock.monotonic()
    silent.fall_silent()
    assert payloads(got(watcher, stage, 1)) == [b"gone"]
    assert stage.clock.monotonic() - begun_s >= 1.0
    assert not chatty.lost


def test_an_id_belongs_to_one(stage: Stage) -> None:
    """A second client of an id throws the first one off, whose will is published before."""
    watcher = stage.peer("watcher")
    watcher.subscribe("#")
    first = stage.peer("same", will=WILL)
    second = stage.peer("same", will=WILL)
    stage.until(lambda: first.lost, "the loss")
    second.publish("here", "")
    assert [each.topic for each in got(watcher, stage, 2)] == ["will", "here"]
    assert not second.lost


def test_a_kept_session(stage: Stage) -> None:
    """Subscriptions stay, QoS 1 messages wait in their order, QoS 0 ones do not; it is said."""
    publisher = stage.peer("publisher")
    peer = stage.peer("peer", clean=False)
    assert peer.session_present is False
    peer.subscribe("a/+", 1)
    peer.close()
    for number in range(50):
        publisher.publish(f"a/{number % 2}", str(number))
        publisher.publish("a/0", "lost", qos=0)
    back = stage.peer("peer", clean=False)
    assert back.session_present is True
    assert payloads(got(back, stage, 50)) == [str(number).encode() for number in range(50)]
    assert not any(each.again for each in back.received)
    publisher.publish("a/0", "live")
    assert got(back, stage, 51)[50].payload == b"live"


def test_a_clean_session_forgets(stage: Stage) -> None:
    """Who connects clean has nothing, and leaves nothing."""
    publisher = stage.peer("publisher")
    kept = stage.peer("peer", clean=False)
    kept.subscribe("a")
    kept.close()
    publisher.publish("a", "1")
    clean = stage.peer("peer")
    assert clean.session_present is False
    clean.subscribe("b")
    publisher.publish("a", "2")
    publisher.publish("b", "3")
    assert payloads(got(clean, stage, 1)) == [b"3"]
    clean.close()
    assert stage.peer("peer", clean=False).session_present is False


def test_what_was_not_acknowledged_comes_again(stage: Stage) -> None:
    """After a loss it is sent again, marked, in order, before what is new."""
    publisher = stage.peer("publisher")
    peer = stage.peer("peer", clean=False, acknowledges=False)
    peer.subscribe("a")
    for number in range(3):
        publisher.publish("a", str(number))
    got(peer, stage, 3)
    peer.drop()
    publisher.publish("a", "3")
    back = stage.peer("peer", clean=False)
    messages = got(back, stage, 4)
    assert [(each.payload, each.again) for each in messages] == [
        (b"0", True),
        (b"1", True),
        (b"2", True),
        (b"3", False),
    ]


def test_no_more_than_twenty_on_the_way(stage: Stage) -> None:
    """A client that does not acknowledge gets 20 messages at QoS 1, and goes on with QoS 0."""
    publisher = stage.peer("publisher")
    peer = stage.peer("peer", acknowledges=False)
    peer.subscribe("a", 1)
    peer.subscribe("b", 0)
    for number in range(25):
        publisher.publish("a", str(number))
    publisher.publish("b", "end")
    stage.until(lambda: any(each.topic == "b" for each in peer.received), "the end")
    assert payloads([m for m in peer.received if m.topic == "a"]) == [b"%d" % n for n in range(20)]


def test_messages_of_a_topic_keep_their_order(stage: Stage) -> None:
    """From one publisher to one subscriber nothing overtakes."""
    publisher, peer = stage.peer("publisher"), stage.peer("peer")
    peer.subscribe("a/#")
    for number in range(200):
        publisher.publish(f"a/{number % 3}", str(number), qos=1)
    messages = got(peer, stage, 200)
    assert payloads(messages) == [str(number).encode() for number in range(200)]


def test_a_killed_broker_forgets(stage: Stage) -> None:
    """Its clients are lost, nobody reaches it, and it comes back with nothing."""
    peer = stage.peer("peer", clean=False, will=WILL)
    peer.subscribe("a")
    peer.publish("a", "1", retain=True)
    stage.kill()
    stage.until(lambda: peer.lost, "the loss")
    with pytest.raises(ConnectionRefusedError):
        stage.peer("early")
    stage.start()
    back = stage.peer("peer", clean=False)
    assert back.session_present is False
    back.subscribe("#")
    back.publish("end", "")
    assert [each.topic for each in got(back, stage, 1)] == ["end"]


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_not_known_is_refused(kind: str, tmp_path: Path) -> None:
    """Only who has the right password gets in."""
    with staged(kind, tmp_path, USERS) as stage:
        assert stage.peer("in", login=("me", "right")).session_present is False
        for login in (("me", "wrong"), ("you", "right"), ("", "")):
            assert stage.peer("out", login=login).refused == "not authorized"


BESIDE = Properties(60, "reply", b"\0\xff", (("trace", "1"), ("trace", "2"), ("", "ä")))


def test_what_is_beside_a_message_is_passed_on(stage: Stage) -> None:
    """From MQTT 5 to MQTT 5, live and retained, with what is left of its time; 3.1.1 gets the
    payload alone, and says nothing else."""
    new, old = stage.peer("new", mqtt5=True), stage.peer("old")
    for peer in (new, old):
        peer.subscribe("a/+")
    new.publish("a/1", "5", retain=True, beside=BESIDE)
    old.publish("a/2", "3.1.1", retain=True, beside=BESIDE)
    assert [each.beside for each in got(new, stage, 2)] == [BESIDE, NOTHING_BESIDE]
    assert [each.beside for each in got(old, stage, 2)] == [NOTHING_BESIDE] * 2
    late = stage.peer("late", mqtt5=True)
    late.subscribe("a/1")
    (kept,) = got(late, stage, 1)
    assert kept.retained
    assert replace(kept.beside, expiry_s=60) == BESIDE
    assert kept.beside.expiry_s is not None
    assert 50 < kept.beside.expiry_s <= 60


def test_what_has_expired_is_not_delivered(stage: Stage) -> None:
    """Neither what is retained nor what waits for a client outlives its time."""
    new = stage.peer("new", mqtt5=True)
    away = stage.peer("away", mqtt5=True, clean=False)
    away.subscribe("a/#")
    away.close()
    new.publish("a/1", "old", retain=True, beside=Properties(1))
    new.publish("a/2", "new", retain=True, beside=Properties(60))
    begun_s = stage.clock.monotonic()
    stage.until(lambda: stage.clock.monotonic() - begun_s > 2.1, "two seconds")
    back = stage.peer("away", mqtt5=True, clean=False)
    assert payloads(got(back, stage, 1)) == [b"new"]
    late = stage.peer("late", mqtt5=True)
    late.subscribe("a/#")
    late.subscribe("end")
    new.publish("end", "")
    assert payloads(got(late, stage, 2)) == [b"new", b""]
    assert len(back.received) == 1


def test_overlapping_filters_deliver_twice_on_5(stage: Stage) -> None:
    """A message that two filters match comes once for each: MQTT 5 allows it (3.3.4)."""
    peer = stage.peer("peer", mqtt5=True)
    peer.subscribe("a/+")
    peer.subscribe("a/#")
    peer.publish("a/b", "1")
    peer.publish("a/b", "2")
    assert payloads(got(peer, stage, 4)) == [b"1", b"1", b"2", b"2"]


def test_the_two_protocols_share_their_sessions(stage: Stage) -> None:
    """A session that is kept is found whatever its client spoke when it was made."""
    peer = stage.peer("peer", mqtt5=True, clean=False)
    peer.subscribe("a")
    peer.close()
    stage.peer("publisher").publish("a", "1")
    back = stage.peer("peer", clean=False)
    assert back.session_present is True
    assert payloads(got(back, stage, 1)) == [b"1"]
