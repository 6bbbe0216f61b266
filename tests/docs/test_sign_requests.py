"""docs/howto/sign-requests.md tells the truth: its commands and its program are run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel.mqtt.payloads import parse_set
from edgekernel.mqtt.signatures import Signatures
from tests.brokers import watching
from tests.docs.page import Page
from tests.mqtt.signing import Signer


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page, with the keys that its first command makes and the node that knows them."""
    page = Page("howto/sign-requests.md", tmp_path_factory.mktemp("greenhouse"))
    (keygen, _), *_ = page.commands()
    assert keygen[:2] == ["ctl", "keygen"]
    assert page.edgekernel(keygen).returncode == 0
    with page.running(tmp_path_factory.mktemp("broker")):
        yield page


def test_the_commands(page: Page) -> None:
    """Each ends as the page says: what it prints stands there, or it is done."""
    for words, said in page.commands()[1:]:
        done = page.edgekernel(words)
        assert (done.returncode, done.stderr.splitlines()) == (1 if said else 0, said)


def test_the_program(page: Page) -> None:
    """The page's program does what it says."""
    with watching(page.port, "edge/greenhouse-1/event/request-answered") as watcher:
        done = page.program()
        assert (done.returncode, done.stderr) == (0, "")
        told = watcher.wait_for(lambda received: True, "an entry of the audit").document
    assert (told["fields"]["principal"], told["fields"]["outcome"]) == ("anna", "ok")


def test_a_pair_of_openssl(page: Page, tmp_path: Path) -> None:
    """Its commands make what a node takes."""
    (script,) = page.blocks("sh")
    subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    Signatures({"anna": (tmp_path / "anna.pem").read_bytes()}, required=True)


def test_a_request_of_another_client(page: Page) -> None:
    """The page's document is read: it lacks nothing but to be of this hour and this start."""
    (document,) = page.blocks("json")
    request = json.loads(document)
    signer = Signer("anna")
    signatures = Signatures({"anna": signer.public})
    found = signatures.read_request(request["topic"], signer.sign(request), parse_set)
    assert (found.content, found.stamp and found.stamp.ttl_s) == (True, 30)
