"""What tshark reads in a pcap file: MQTT packets, as it names their fields."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests.wire.conftest import TSHARK

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14


@dataclass(frozen=True)
class Packet:
    """An MQTT packet. `fields` have the names of Wireshark's, such as "mqtt.topic"."""

    connection: int
    by_client: bool
    segment_bytes: int
    fields: dict[str, list[str]] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Return a field's first value; empty if there is none."""
        return self.fields.get(f"mqtt.{name}", [""])[0]

    @property
    def kind(self) -> int:
        """The type of the packet."""
        return int(self.get("msgtype"))

    @property
    def topic(self) -> str:
        """The topic of a PUBLISH."""
        return self.get("topic")

    @property
    def qos(self) -> int:
        """The quality of service of a PUBLISH."""
        return int(self.get("qos"))

    @property
    def retain(self) -> bool:
        """The retain flag of a PUBLISH."""
        return is_set(self.get("retain"))

    @property
    def payload(self) -> bytes:
        """The payload of a PUBLISH."""
        return bytes.fromhex(self.get("msg").replace(":", ""))


def is_set(flag: str) -> bool:
    """Return a flag, as this or a later tshark writes it."""
    assert flag in ("0", "1", "False", "True"), flag
    return flag in ("1", "True")


def decode(file: Path) -> list[Packet]:
    """Return every MQTT packet of a pcap file."""
    text = _run(file, "-Y", "mqtt", "-T", "pdml")
    found: list[Packet] = []
    for frame in ElementTree.fromstring(text):
        tcp = next(each for each in frame if each.get("name") == "tcp")
        says = {each.get("name"): each.get("show", "") for each in tcp.iter("field")}
        where = (
            int(says["tcp.stream"]),
            says["tcp.dstport"] == "1883",
            int(says["tcp.len"]),
        )
        protos = [each for each in frame if each.get("name") == "mqtt"]
        found += [Packet(*where, _fields(each)) for each in protos]
    return found


def torn(file: Path, most_bytes: int) -> list[str]:
    """Return the sizes of what was sent in several segments though it fits into one."""
    sizes = _run(file, "-Y", "mqtt && tcp.segment", "-T", "fields", "-e", "tcp.reassembled.length")
    return [each for each in sizes.split() if int(each.split(",")[0]) <= most_bytes]


def _fields(proto: ElementTree.Element) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for each in proto.iter("field"):
        fields.setdefault(each.get("name", ""), []).append(each.get("show", ""))
    return fields


def _run(file: Path, *options: str) -> str:
    assert TSHARK is not None
    done = subprocess.run(
        [TSHARK, "-n", "-r", file, *options], capture_output=True, text=True, check=True
    )
    return done.stdout
