"""The broker's part of a site is looked at before a broker on another computer gets it."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.site import Site
from edgekernel.mqtt.site.broker_part import check_broker_part
from edgekernel.platform.broker_card import BROKER_FILES

PLACE = Path("/data/broker")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site whose broker is on another computer, with a user and a node."""
    made = Site.make(tmp_path / "site", ["localhost"], at=str(PLACE))
    made.add_user("alice", "operator")
    made.enroll("shed")
    made.revoke("shed")
    return made


@pytest.fixture
def folder(site: Site, tmp_path: Path) -> Path:
    """A copy of its broker's part."""
    return shutil.copytree(site.broker_folder, tmp_path / "broker")


def problems(folder: Path, place: Path = PLACE) -> list[str]:
    """Return what is wrong."""
    with pytest.raises(ConfigError) as raised:
        check_broker_part(folder, place)
    return list(raised.value.problems)


def test_as_it_is_made(site: Site) -> None:
    """What a site makes for another computer is right, with users or without, or with dialects; it
    is all that a broker needs, and no key of the authority."""
    check_broker_part(site.broker_folder, PLACE)
    site.rewrite("", ["homie"])
    site.remove_user("alice")
    check_broker_part(site.broker_folder, PLACE)
    assert {each.name for each in site.broker_folder.iterdir()} == set(BROKER_FILES)
    key = (site.folder / "authority/ca.key").read_bytes()
    assert not [each for each in site.broker_folder.iterdir() if key in each.read_bytes()]


def test_of_this_computer(tmp_path: Path) -> None:
    """The part of a site whose broker is here is for no other place, and what helps is said."""
    site = Site.make(tmp_path / "here", ["localhost"])
    found = problems(site.broker_folder)
    assert len(found) == 7
    assert all(f"{site.broker_folder}/" in each for each in found)
    assert "broker rewrite --mosquitto 2.0 --at /data/broker" in found[0]
    site.rewrite("", at=str(PLACE))
    check_broker_part(site.broker_folder, PLACE)


@pytest.mark.parametrize("name", BROKER_FILES)
def test_incomplete(folder: Path, name: str) -> None:
    """A file that is missing is named, and so is one that is damaged, without what is in it."""
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    assert problems(folder) == [f"broker/{name}: it is missing"]
    (folder / name).write_bytes(b"s3cret\n" + whole[len(whole) // 2 :])
    found = problems(folder)
    assert all(each.startswith(f"broker/{name}: ") for each in found)
    assert not [each for each in found if "s3cret" in each]


def swap(*names: str) -> Callable[[Path, Path], None]:
    """Return what takes files of another site."""

    def take(folder: Path, other: Path) -> None:
        for name in names:
            shutil.copy(other / "broker" / name, folder)

    return take


def authority(folder: Path, other: Path) -> None:
    """Take the authority of another site for its broker as well."""
    swap("ca.crt", "revoked.crl")(folder, other)
    shutil.copy(other / "authority/ca.key", folder / "server.key")
    shutil.copy(other / "authority/ca.crt", folder / "server.crt")


def second_key(folder: Path, other: Path) -> None:
    """Put an authority's key behind another one."""
    with (folder / "server.key").open("ab") as file:
        file.write((other / "authority/ca.key").read_bytes())


def key_in_certificate(folder: Path, other: Path) -> None:
    """Put an authority's key behind its certificate."""
    with (folder / "ca.crt").open("ab") as file:
        file.write((other / "authority/ca.key").read_bytes())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swap("server.key"), r"server\.key: it is not the key of server\.crt"),
        (swap("server.key", "server.crt"), r"server\.crt: it is not signed by the authority"),
        (swap("revoked.crl"), r"revoked\.crl: it is not signed by the authority"),
        (authority, r"server\.key: it is the key of the authority"),
        (second_key, r"server\.key: there is a private key in it that does not belong there"),
        (key_in_certificate, r"ca\.crt: there is a private key in it that does not belong there"),
    ],
)  # fmt: skip
def test_keys(
    folder: Path, tmp_path: Path, change: Callable[[Path, Path], None], said: str
) -> None:
    """Files that do not belong together are told, and a key of an authority wherever it is."""
    change(folder, Site.make(tmp_path / "other", ["localhost"]).folder)
    assert any(re.search(said, each) for each in problems(folder))


@pytest.mark.parametrize("name", ["ca.crt", "server.crt", "server.key"])
def test_another_curve(folder: Path, name: str) -> None:
    """A key on a curve that nobody knows is told, and ends nothing."""
    begin, body, end = re.split(
        "(?<=-----)\n|\n(?=-----END)", (folder / name).read_text(), maxsplit=2
    )
    known, unknown = b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2a\x86\x48\xce\x3d\x03\x01\x63"
    der = base64.b64decode(body)
    assert known in der  # prime256v1 (RFC 5480, section 2.1.1.1)
    changed = base64.encodebytes(der.replace(known, unknown)).decode()
    (folder / name).write_text(f"{begin}\n{changed}{end}")
    assert problems(folder) == [
        f"broker/{name}: it is damaged, or encrypted, or for another algorithm"
    ]


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("passwords", r"alice:.*", "alice:s3cret", "passwords: line 1 is none that"),
        ("acl", "user alice", "usr alice", "acl: line 2"),
        ("mosquitto.conf", "anonymous false", "anonymous true", "it lets in everybody"),
        ("mosquitto.conf", "listener 8884", "listener 443", "ports from 1024 on"),
        ("mosquitto.conf", "listener 8884", "# none", "two listeners"),
        ("mosquitto.conf", "crlfile .*", "", "crlfile is missing"),
        ("mosquitto.conf", "/data/broker/data/", "/etc/", "persistence_location is /etc, and not"),
        ("mosquitto.conf", "acl_file", "plugin_opt_acl_file", "for mosquitto 2.1, and 2.0 is to"),
    ],
)  # fmt: skip
def test_lines(folder: Path, name: str, before: str, after: str, said: str) -> None:
    """A configuration that is not for that place or lets in everybody is told, and so are lines
    that mosquitto would not start with."""
    text = (folder / name).read_text()
    changed = re.sub(before, after, text, count=1)
    assert changed != text
    (folder / name).write_text(changed)
    found = problems(folder)
    assert [said in each for each in found] == [True]
    assert "s3cret" not in found[0]
