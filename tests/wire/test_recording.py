"""The instruments themselves: what was said is what tshark reads, and a torn packet is seen."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.brokers import HOST, Mosquitto
from tests.wire.decoding import CONNECT, DISCONNECT, PUBLISH, decode, torn
from tests.wire.recording import Recorder, Segment, write_pcap

# Packets of MQTT 3.1.1, sections 3.1, 3.3 and 3.14 of its specification.
_CONNECT = bytes.fromhex("100e 0004 4d515454 04 02 003c 0002 6d65".replace(" ", ""))
_PUBLISH = bytes.fromhex("3308 0003 612f62 0007 78".replace(" ", ""))
_DISCONNECT = bytes.fromhex("e000")


def test_what_tshark_reads(tmp_path: Path) -> None:
    """Several packets in a segment, and a packet in several, are read with their fields."""
    file = tmp_path / "made.pcap"
    segments = [
        Segment(1.0, 0, True, _CONNECT),
        Segment(2.0, 0, False, b"\x20\x02\x00\x00"),
        Segment(3.0, 0, True, _PUBLISH + _DISCONNECT),
    ]
    write_pcap(file, segments)
    connect, _, publish, disconnect = decode(file)
    assert (connect.kind, connect.by_client, connect.get("clientid")) == (CONNECT, True, "me")
    assert (publish.kind, publish.topic, publish.qos, publish.retain) == (PUBLISH, "a/b", 1, True)
    assert publish.payload == b"x"
    assert (disconnect.kind, disconnect.segment_bytes) == (DISCONNECT, 12)
    assert torn(file, 1400) == []


def test_a_torn_packet(tmp_path: Path) -> None:
    """One that was sent in two segments is found, unless it is too long for one."""
    file = tmp_path / "torn.pcap"
    segments = [
        Segment(1.0, 0, True, _CONNECT),
        Segment(3.0, 0, True, _PUBLISH[:2]),
        Segment(3.1, 0, True, _PUBLISH[2:]),
    ]
    write_pcap(file, segments)
    assert decode(file)[1].topic == "a/b"
    assert torn(file, 1400) == ["10"]
    assert torn(file, 9) == []


def test_both_sides_are_recorded(tmp_path: Path) -> None:
    """What a client says to a broker through the recorder, and the broker to it, is in the file."""
    broker = Mosquitto(tmp_path)
    broker.start()
    recorder = Recorder(broker.port)
    with socket.create_connection((HOST, recorder.port)) as client:
        client.sendall(_CONNECT)
        assert client.recv(4) == b"\x20\x02\x00\x00"
        client.sendall(_DISCONNECT)
        assert client.recv(1) == b""
    recorder.close()
    broker.stop()
    recorder.write(tmp_path / "live.pcap")
    found = [(each.kind, each.by_client) for each in decode(tmp_path / "live.pcap")]
    assert found == [(CONNECT, True), (2, False), (DISCONNECT, True)]
