"""No more at once than a broker takes."""

from __future__ import annotations

import pytest

from edgekernel.mqtt.send_window import SendWindow
from edgekernel.mqtt.transport import Outbound, Published


class Network:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.open: list[Published] = []

    def send(self, message: Outbound, done: Published) -> None:
        """Take a message."""
        self.sent.append(message.payload)
        self.open.append(done)

    def answer(self, refusal: str = "") -> None:
        """Answer the oldest."""
        self.open.pop(0)(refusal)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_no_more_than_its_size_is_on_the_way(size: int) -> None:
    """The others follow in their order, each when one has its answer, also a refusal."""
    network = Network()
    answers: list[str] = []
    window = SendWindow(size, network.send)
    for number in range(10):
        window.publish(Outbound("a", b"%d" % number), answers.append)
    assert len(network.open) == size
    for number in range(10):
        assert len(network.open) == min(size, 10 - number)
        network.answer("quota exceeded" if number == 3 else "")
    assert network.sent == [b"%d" % number for number in range(10)]
    assert answers == ["", "", "", "quota exceeded", *[""] * 6]
    window.publish(Outbound("a", b"last"), answers.append)
    assert network.sent[-1] == b"last"


def test_what_an_answer_brings_comes_after_what_waits() -> None:
    """Whoever publishes when told of an answer overtakes nothing."""
    network = Network()
    window = SendWindow(1, network.send)
    window.publish(
        Outbound("a", b"1"), lambda _: window.publish(Outbound("a", b"3"), lambda _: None)
    )
    window.publish(Outbound("a", b"2"), lambda _: None)
    network.answer()
    network.answer()
    assert network.sent == [b"1", b"2", b"3"]
