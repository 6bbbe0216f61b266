"""The link to a broker."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.deliveries import Delivery
from edgekernel.mqtt.relief import may_take_long
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.site.mosquitto import password_line
from edgekernel.mqtt.transport import Inbound, Outbound, Will
from tests.brokers import HOST, LIMIT_S, Mosquitto, Watcher, free_port, watching
from tests.mqtt.parts import settings


class Observer:
    """Notes what the link says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.sockets: list[socket.socket] = []
        self.on_message: Callable[[Inbound], None] = lambda _: None
        self._changed = threading.Condition()

    def connected(self) -> None:
        self._say("connected")

    def disconnected(self, reason: str) -> None:
        self._say(f"disconnected: {reason}")

    def problem(self, text: str) -> None:
        self._say(f"problem: {text}")

    def message(self, message: Inbound) -> None:
        self.on_message(message)
        self._say(f"message: {message.topic} {message.payload.decode()} {message.retained}")

    def failed(self, where: str, error: Exception) -> None:
        self._say(f"failed: {where}: {error}")

    def wait(self, text: str, count: int = 1) -> str:
        """Wait until something that begins with `text` was said `count` times."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.all(text)) >= count, LIMIT_S)
        assert len(self.all(text)) >= count, self.said
        return self.all(text)[count - 1]

    def all(self, text: str) -> list[str]:
        return [each for each in self.said if each.startswith(text)]

    def _say(self, text: str) -> None:
        with self._changed:
            self.said.append(text)
            self._changed.notify_all()


@contextmanager
def linked(
    to: Settings, *subscriptions: str, will: Will | None = None
) -> Iterator[tuple[MqttClient, Observer]]:
    """Give a started client and its observer."""
    observer = Observer()
    client = MqttClient(to, observer, client_id="c1", subscriptions=subscriptions, will=will)
    client.start()
    try:
        yield client, observer
    finally:
        assert client.close(LIMIT_S)


def test_it_connects_subscribes_and_publishes(broker: Mosquitto, watcher: Watcher) -> None:
    """Messages go both ways, with their retain flag, and a delivery ends with the broker's ack."""
    watcher.publish("in/1", "old", retain=True)
    with linked(settings(broker.port), "in/+") as (client, observer):
        observer.wait("connected")
        assert client.connected
        observer.wait("message: in/1 old True")
        watcher.publish("in/2", "new")
        observer.wait("message: in/2 new False")
        assert client.publish(Outbound("out", b"hello", retain=True)).wait(LIMIT_S)
        assert watcher.wait_for(lambda r: r.topic == "out").payload == b"hello"
    assert not client.connected


def test_small_packets_are_not_held_back(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket has TCP_NODELAY."""
    made: list[socket.socket] = []
    create = socket.create_connection

    def note(*args: object, **named: object) -> socket.socket:
        made.append(create(*args, **named))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(socket, "create_connection", note)
    with linked(settings(broker.port)) as (_, observer):
        observer.wait("connected")
        (sock,) = made
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_it_comes_back_and_subscribes_again(broker: Mosquitto) -> None:
    """When the broker dies the loss is told, and on its return everything works as before."""
    with linked(settings(broker.port), "in") as (client, observer):
        observer.wait("connected")
        broker.kill()
        observer.wait("disconnected: connection lost")
        observer.wait("problem: ")
        assert not client.connected
        broker.start()
        observer.wait("connected", 2)
        with watching(broker.port) as watcher:
            watcher.publish("in", "again")
        observer.wait("message: in again")


def test_what_was_published_while_it_broke_arrives_later(broker: Mosquitto) -> None:
    """A message without an acknowledgement is sent again on the next connection."""
    with linked(settings(broker.port)) as (client, observer):
        observer.wait("connected")
        broker.kill()
        observer.wait("disconnected")
        delivery = client.publish(Outbound("out", b"kept", retain=True))
        assert not delivery.wait(0.05)
        broker.start()
        assert delivery.wait(LIMIT_S)
        with watching(broker.port) as watcher:
            watcher.wait_for(lambda r: r.payload == b"kept")


def test_a_closed_port_is_reported_once_and_retried(tmp_path: Path) -> None:
    """Without a broker there is one line that says what, where and what to do, then it waits."""
    broker = Mosquitto(tmp_path)
    with linked(settings(broker.port)) as (_, observer):
        text = observer.wait("problem: ")
        assert f"{HOST}:{broker.port} cannot be reached: connection refused" in text
        assert "is the broker running" in text
        broker.start()
        observer.wait("connected")
        assert len(observer.all("problem")) == 1
    broker.stop()


def test_an_unknown_host_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve is told as that."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    with linked(Settings("broker.invalid", reconnect_min_s=0.05)) as (_, observer):
        text = observer.wait("problem: ")
        assert "broker.invalid:1883 cannot be reached: the host name is unknown" in text


def test_something_that_is_no_broker_is_reported() -> None:
    """Who closes the connection without an answer is told as that."""
    with socket.create_server((HOST, 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=hang_up)
        thread.start()
        with linked(settings(server.getsockname()[1])) as (_, observer):
            assert "closed the connection without an answer" in observer.wait("problem: ")
        server.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT_S)


def test_a_wrong_password_is_reported_and_retried(tmp_path: Path) -> None:
    """A refused login names the user and the settings, never the password, and goes on."""
    broker = Mosquitto(tmp_path, users={"me": "right"})
    broker.start()
    with linked(settings(broker.port, username="me", password="wrong-secret")) as (_, observer):
        text = observer.wait("problem: ")
        assert "refused the connection" in text
        assert "'me'" in text
        assert "mqtt.password" in text
        assert "wrong-secret" not in text
        broker.stop()  # a second spell of the same link: another text
        observer.wait("problem: ", 2)
        broker.start()
    with linked(settings(broker.port, username="me", password="right")) as (_, observer):
        observer.wait("connected")
    broker.stop()


def test_a_callback_that_raises_does_not_end_the_link(broker: Mosquitto, watcher: Watcher) -> None:
    """What an observer raises is given to it and the next message arrives."""

    def on_message(message: Inbound) -> None:
        if message.payload == b"bad":
            raise ZeroDivisionError("oops")

    with linked(settings(broker.port), "in") as (_, observer):
        observer.on_message = on_message
        observer.wait("connected")
        watcher.publish("in", "bad")
        observer.wait("failed: arrived: oops")
        watcher.publish("in", "good")
        observer.wait("message: in good")


def test_the_last_will_follows_a_loss_but_no_goodbye(
    broker: Mosquitto, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker publishes the will, retained, when the connection is cut; not after close."""
    made: list[socket.socket] = []
    create = socket.create_connection

    def note(*args: object, **named: object) -> socket.socket:
        made.append(create(*args, **named))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(socket, "create_connection", note)
    with linked(settings(broker.port), will=Will("will", b"gone")) as (_, observer):
        observer.wait("connected")
        made[0].shutdown(socket.SHUT_RDWR)
        watcher.wait_for(lambda r: r.topic == "will" and r.payload == b"gone")
        observer.wait("connected", 2)
        watcher.forget()
    watcher.publish("mark", "")
    watcher.wait_for(lambda r: r.topic == "mark")
    assert not [r for r in watcher.received if r.topic == "will"]


def test_closing_is_quick_without_a_broker() -> None:
    """Close ends the thread although it waits for its next attempt."""
    with linked(settings(free_port(), reconnect_min_s=30, reconnect_max_s=60)) as (
        client,
        observer,
    ):
        observer.wait("problem: ")
        assert client.close(LIMIT_S)


def test_two_clients_of_one_id_are_told(broker: Mosquitto) -> None:
    """Clients that throw each other off are told what may be wrong, once."""
    with linked(settings(broker.port)) as (_, one), linked(settings(broker.port)) as (_, two):
        one.wait("disconnected", 3)
        text = one.wait("problem: ")
        assert "another client may use the id 'c1'; check mqtt.client_id" in text
        one.wait("disconnected", 5)
        two.wait("problem: ")
        assert len(one.all("problem")) == 1


def test_a_link_that_lasted_is_no_suspect(broker: Mosquitto, watcher: Watcher) -> None:
    """Losses after links that were up for `stable_s` say nothing about other clients."""
    with linked(settings(broker.port, stable_s=0)) as (_, observer):
        for count in range(1, 5):
            observer.wait("connected", count)
            broker.kill()
            observer.wait("disconnected", count)
            broker.start()
        observer.wait("connected", 5)
        assert not [text for text in observer.said if "another client" in text]


# Python tells of a thread that ends by an exception, and pytest makes that a failure; in the field
# nobody listens.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_noticed(broker: Mosquitto, watcher: Watcher) -> None:
    """paho's thread ends without a word for anybody; the link is given up and made anew."""

    def on_message(message: Inbound) -> None:
        if message.payload == b"bad":
            raise SystemExit  # passes whoever catches exceptions, and ends a thread in silence

    with linked(settings(broker.port, keepalive_s=1), "in") as (client, observer):
        observer.on_message = on_message
        observer.wait("connected")
        watcher.publish("in", "bad")
        observer.wait("disconnected: no answer for 0.5 s")
        observer.wait("connected", 2)
        watcher.publish("in", "good")
        observer.wait("message: in good")
        assert client.connected


def test_a_thread_that_hangs_is_left_to_itself(broker: Mosquitto, watcher: Watcher) -> None:
    """A handler that does not return keeps one link only; that it hangs is told."""
    hang, hangs = threading.Event(), threading.Event()

    def on_message(message: Inbound) -> None:
        if message.payload == b"bad":
            hangs.set()
            assert hang.wait(LIMIT_S)

    with linked(settings(broker.port, keepalive_s=1), "in") as (_, observer):
        observer.on_message = on_message
        observer.wait("connected")
        watcher.publish("in", "bad")
        assert hangs.wait(LIMIT_S)
        observer.wait("disconnected: no answer for 0.5 s")
        assert "hangs in a handler" in observer.wait("problem: ")
        observer.wait("connected", 2)
        watcher.publish("in", "good")
        observer.wait("message: in good")
        hang.set()


def test_a_handler_that_takes_long_keeps_no_link(broker: Mosquitto, watcher: Watcher) -> None:
    """While a handler that has said so does not return, the link lives: messages come, in order
    and once each, and what is published is acknowledged."""
    hang, hangs = threading.Event(), threading.Event()

    def on_message(message: Inbound) -> None:
        may_take_long()
        if message.payload == b"bad":
            hangs.set()
            assert hang.wait(LIMIT_S)

    with linked(settings(broker.port), "in") as (client, observer):
        observer.on_message = on_message
        observer.wait("connected")
        watcher.publish("in", "bad")
        watcher.publish("in", "0")  # perhaps read together with the one that hangs
        assert hangs.wait(LIMIT_S)
        for number in range(1, 20):
            watcher.publish("in", str(number))
        assert client.publish(Outbound("out", b"hello")).wait(LIMIT_S)
        observer.wait("message: in 19")
        assert observer.all("message") == [f"message: in {n} False" for n in range(20)]
        watcher.publish("in", "again")  # who took over may be relieved as well
        observer.wait("message: in again")
        assert client.close(LIMIT_S)  # although the handler still hangs
        assert not observer.all("problem")
        hang.set()


def test_what_a_handler_publishes_is_sent_while_it_runs(
    broker: Mosquitto, watcher: Watcher
) -> None:
    """An answer does not wait for the end of the handler that gives it."""

    def on_message(message: Inbound) -> None:
        may_take_long()
        client.publish(Outbound("out", message.payload))
        watcher.wait_for(lambda r: r.topic == "out")

    with linked(settings(broker.port), "in") as (client, observer):
        observer.on_message = on_message
        observer.wait("connected")
        watcher.publish("in", "hello")
        observer.wait("message: in hello")
        assert not observer.all("failed")


def test_many_threads_publish_more_than_the_socket_takes(
    broker: Mosquitto, watcher: Watcher
) -> None:
    """What does not fit into the socket at once is sent later, whole, and in the order of each
    thread."""
    count, size = 20, 200_000

    def publish(name: str) -> None:
        payloads = [b"%d " % number + bytes(size) for number in range(count)]
        waiting.extend(client.publish(Outbound(name, each)) for each in payloads)

    waiting: list[Delivery] = []
    with linked(settings(broker.port)) as (client, observer):
        observer.wait("connected")
        threads = [threading.Thread(target=publish, args=(f"out/{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(each.wait(LIMIT_S) for each in waiting)
        last = 4 * count
        watcher.wait_for(lambda _: len(watcher.received) >= last)
        for topic in (f"out/{n}" for n in range(4)):
            sent = [r.payload for r in watcher.received if r.topic == topic]
            assert sent == [b"%d " % number + bytes(size) for number in range(count)]


def test_qos_0_is_done_when_it_is_sent(broker: Mosquitto, watcher: Watcher) -> None:
    """A message at QoS 0 has no acknowledgement to wait for."""
    with linked(settings(broker.port)) as (client, observer):
        observer.wait("connected")
        assert client.publish(Outbound("out", b"0", qos=0)).wait(LIMIT_S)
        watcher.wait_for(lambda r: r.payload == b"0")


def test_a_new_password_counts_from_the_next_connect(tmp_path: Path) -> None:
    """A password that the broker and its file change together needs no restart of the node."""
    broker = Mosquitto(tmp_path, {"me": "first"})
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    to = Settings(
        HOST, broker.port, "me", "first", password_file=secret, reconnect_min_s=0.05, stable_s=0.0
    )
    broker.start()
    try:
        with linked(to) as (_, observer):
            observer.wait("connected")
            broker.stop()
            (tmp_path / "passwords").write_text(f"{password_line('me', 'second', rounds=101)}\n")
            secret.unlink()
            assert "mqtt.password_file" in observer.wait(
                f"problem: {HOST}:{broker.port} cannot be reached: mqtt.password_file"
            )
            broker.start()
            secret.write_text("first\n")
            observer.wait(f"problem: {HOST}:{broker.port} refused")
            secret.write_text("second\n")
            observer.wait("connected", count=2)
    finally:
        broker.stop()


def test_a_changed_password_file_ends_the_link_cleanly(tmp_path: Path) -> None:
    """A link that is up is made anew with the new password, and no last will is published."""
    broker = Mosquitto(tmp_path, {"me": "first", "seer": "seer"})
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    to = Settings(
        HOST, broker.port, "me", "first", keepalive_s=6, reconnect_min_s=0.05, password_file=secret
    )
    lines = [password_line("me", "second", rounds=101), password_line("seer", "seer", rounds=101)]
    broker.start()
    try:
        link = linked(to, will=Will("gone", b"1"))
        seer = watching(broker.port, username="seer", password="seer")
        with seer as watcher, link as (client, observer):
            observer.wait("connected")
            secret.unlink()
            observer.wait("problem: ")
            secret.write_text("second\n")
            observer.wait("disconnected: the password has changed")
            (tmp_path / "passwords").write_text("".join(f"{line}\n" for line in lines))
            broker.send(signal.SIGHUP)
            observer.wait("connected", count=2)
            client.publish(Outbound("here", b"1"))
            watcher.wait_for(lambda r: r.topic == "here")
            assert not [r for r in watcher.received if r.topic == "gone"]
    finally:
        broker.stop()


def test_more_subscriptions_and_fewer(broker: Mosquitto, watcher: Watcher) -> None:
    """A filter may come and go while the link is up, brings what is retained, and holds over a
    reconnect until it is given up."""
    watcher.publish("more/1", "old", retain=True)
    with linked(settings(broker.port), "in") as (client, observer):
        observer.wait("connected")
        refused: list[list[str]] = []
        client.subscribe(("more/+",), refused.append)
        observer.wait("message: more/1 old True")
        assert refused == [[]]
        broker.kill()
        broker.start()
        observer.wait("connected", 2)
        with watching(broker.port) as again:
            again.publish("more/2", "new")
            observer.wait("message: more/2 new")
            client.unsubscribe(("more/+",))
            assert client.subscriptions == ("in",)
            assert client.publish(Outbound("out", b"after it")).wait(LIMIT_S)
            again.publish("more/3", "unwanted")
            again.publish("in", "wanted")
            observer.wait("message: in wanted")
    assert not [each for each in observer.said if "more/3" in each]


def test_a_filter_that_comes_before_the_link(broker: Mosquitto, watcher: Watcher) -> None:
    """What is asked for while there is no link is subscribed to when there is one."""
    watcher.publish("more/1", "old", retain=True)
    client = MqttClient(settings(broker.port), observer := Observer(), client_id="c2")
    client.subscribe(("more/+",))
    client.start()
    observer.wait("message: more/1 old True")
    assert client.close(LIMIT_S)


def test_what_is_withdrawn_is_not_sent_later(broker: Mosquitto) -> None:
    """A message that was given up while the link was down never leaves."""
    with linked(settings(broker.port)) as (client, observer):
        observer.wait("connected")
        broker.kill()
        observer.wait("disconnected")
        client.withdraw(client.publish(Outbound("out", b"given up", retain=True)))
        kept = client.publish(Outbound("out", b"kept", retain=True))
        broker.start()
        with watching(broker.port) as watcher:
            watcher.wait_for(lambda r: r.payload == b"kept")
        assert kept.wait(LIMIT_S)
    assert not [each for each in watcher.received if each.payload == b"given up"]
