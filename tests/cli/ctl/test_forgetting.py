"""`edgekernel ctl forget`: nodes that are no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from tests.brokers import Mosquitto, watching
from tests.cli.ctl.conftest import as_json, printed

GONE = ("edge/gone-1/info", "edge/gone-1/state/lamp", "edge/gone-1/status")
SHOWN = "homeassistant/device/gone-1/config"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Give the port of a broker with two nodes that are gone, and one that is online."""
    broker = Mosquitto(tmp_path)
    broker.start()
    with watching(broker.port) as client:
        for name, state in (("gone-1", "offline"), ("gone-2", "offline"), ("here-1", "online")):
            client.publish(f"edge/{name}/status", {"state": state}, retain=True)
        client.publish("edge/gone-1/info", {"labels": {"zone": "north"}}, retain=True)
        client.publish("edge/gone-1/state/lamp", {"online": False}, retain=True)
        told = {"origin": {"name": "edgekernel"}, "availability": [{"topic": GONE[2]}]}
        client.publish(SHOWN, told, retain=True)
    yield broker.port
    broker.stop()


def ctl(port: int, *args: str, answer: str = "") -> Result:
    """Run `edgekernel ctl` on the broker, and answer what it asks."""
    return CliRunner().invoke(main, ["ctl", "--port", str(port), *args], input=answer)


def names(port: int) -> list[str]:
    """Return the nodes that the broker knows."""
    return [row["name"] for row in printed(ctl(port, "nodes", "--json"))]


def test_it_shows_and_asks(port: int) -> None:
    """What is cleared is shown before it is asked for; only who says yes has it cleared."""
    for answer, code, left in (("n\n", 1, 3), ("", 1, 3), ("y\n", 0, 2)):
        done = ctl(port, "forget", "gone-1", answer=answer)
        assert done.exit_code == code
        assert done.stdout.splitlines()[:4] == [*GONE, SHOWN]
        assert "Let the broker forget gone-1? It cannot be taken back. [y/N]" in done.stderr
        assert len(names(port)) == left
    assert done.stdout.splitlines()[4:] == ["gone-1: 4 topics are cleared"]
    with watching(port, SHOWN) as client:
        client.publish(SHOWN, "end")
        client.wait_for(lambda got: got.payload == b"end")
        assert [got.payload for got in client.received] == [b"end"]


def test_as_json(port: int) -> None:
    """A program gets the topics; it is not asked, so that it has to say yes, exit 2 if not."""
    assert ctl(port, "forget", "gone-1", "--json").exit_code == 2
    look = {"node": "gone-1", "dry_run": True, "topics": [*GONE, SHOWN]}
    assert printed(ctl(port, "forget", "gone-1", "--json", "--dry-run")) == look
    found = printed(ctl(port, "forget", "gone-1", "--json", "--yes", "--discovery", ""))
    assert found == {"node": "gone-1", "dry_run": False, "topics": list(GONE)}
    assert as_json(ctl(port, "forget", "gone-3", "--json", "--yes"), 1)["code"] == "unknown"
    assert as_json(ctl(port, "forget", "here-1", "--json", "--yes"), 1)["code"] == "unavailable"
    assert names(port) == ["gone-2", "here-1"]


def test_who_is_online(port: int) -> None:
    """It is refused, exit 1, unless it is forced."""
    refused = ctl(port, "forget", "here-1", "--yes")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("refused (unavailable): here-1 is online: ")
    assert "here-1" in names(port)
    assert ctl(port, "forget", "here-1", "--yes", "--force").exit_code == 0
    assert "here-1" not in names(port)


def test_many(port: int) -> None:
    """Those that are picked have a row each; who is online refuses for himself."""
    look = ctl(port, "forget", "--where", "state=offline", "--dry-run")
    assert look.exit_code == 0
    assert "gone-1  4 topics would be cleared" in look.stdout
    done = ctl(port, "forget", "--all", "--json", "--yes")
    rows = {row["node"]: row for row in json.loads(done.stdout)}
    assert done.exit_code == 1
    assert rows["gone-1"]["result"] == [*GONE, SHOWN]
    assert rows["gone-2"]["ok"] is True
    assert rows["here-1"]["error"]["code"] == "unavailable"
    assert names(port) == ["here-1"]
