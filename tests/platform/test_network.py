"""The network settings on a card: what is allowed, and how a mistake is told."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address, ip_interface
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import ConfigError
from edgekernel.platform import network
from edgekernel.platform.network import Network, Wifi, load_network, parse_network
from edgekernel.platform.network_keys import Interface

IMAGES = Path(__file__).parents[2] / "images"
PASSPHRASE = "correct horse battery"
WIFI = f'[wifi]\nssid = "plant"\ncountry = "DE"\npassphrase = "{PASSPHRASE}"\n'
ALL = f"""
hostname = "greenhouse-1"
[ethernet]
address = ["192.168.1.20/24", "fd00::20/64"]
gateway = ["192.168.1.1", "fe80::1"]
dns = "192.168.1.1"
{WIFI}
hidden = true
[time]
servers = ["ntp.example.org", "192.168.1.1"]
"""


def problems(text: str) -> str:
    """Return what is wrong with a file."""
    with pytest.raises(ConfigError) as caught:
        parse_network(text.encode())
    return str(caught.value)


def test_everything(tmp_path: Path) -> None:
    """Every key is read, from a file that an editor of Windows has written too."""
    file = tmp_path / "network.toml"
    file.write_bytes(b"\xef\xbb\xbf" + ALL.replace("\n", "\r\n").encode())
    wired = Interface(
        addresses=(ip_interface("192.168.1.20/24"), ip_interface("fd00::20/64")),
        gateways=(ip_address("192.168.1.1"), ip_address("fe80::1")),
        dns=(ip_address("192.168.1.1"),),
    )
    wifi = Wifi("plant", "DE", Interface(), passphrase=PASSPHRASE, hidden=True)
    servers = ("ntp.example.org", "192.168.1.1")
    assert load_network(file) == Network("greenhouse-1", wired, wifi, servers)


def test_what_is_shown_is_right() -> None:
    """The examples in the guide, on the card and in the module are right, and all of them set what
    they show."""
    guide = (IMAGES / "README.md").read_text().partition("```toml\n")[2].partition("```")[0]
    card = (IMAGES / "firmware/edgekernel/README.txt").read_text().partition("left out:")[2]
    for text in (guide, card, (network.__doc__ or "").partition("its card.")[2]):
        shown = parse_network(dedent(text.partition("\n\nEvery key")[0].strip("\n")).encode())
        assert shown.hostname == "greenhouse-1"
        assert shown.ethernet.addresses == (ip_interface("192.168.1.20/24"),)
        assert shown.ethernet.gateways == (ip_address("192.168.1.1"),)
        assert shown.wifi is not None
        assert (shown.wifi.ssid, shown.wifi.passphrase) == ("plant", PASSPHRASE)
        assert shown.time_servers == ("ntp.example.org",)


def test_nothing() -> None:
    """An empty file is right: Ethernet with DHCP."""
    assert parse_network(b"") == Network()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hostname = 3", "network.toml: hostname: 3: a text in quotes is allowed"),
        ('hostname = "Shed 1"', 'hostname: "Shed 1": 1 to 63 characters of a-z, 0-9 and -'),
        ('hostnam = "shed"', "hostnam: there is no such key; did you mean 'hostname'?"),
        ("ethernet = 1", "ethernet: 1: a table is allowed"),
        ("[ethernet]\nadress = 1", "ethernet.adress: there is no such key; did you mean 'address'"),
        ('[ethernet]\naddress = "192.168.1.20"', "with the length of its network"),
        ('[ethernet]\naddress = "192.168.1.20/0"', "with the length of its network"),
        ('[ethernet]\naddress = "192.168.1.320/24"', "with the length of its network"),
        (
            '[ethernet]\naddress = "192.168.1.255/24"',
            "first and the last address of 192.168.1.0/24",
        ),
        ('[ethernet]\naddress = "127.0.0.1/8"', "no computer on a network has this address"),
        ('[ethernet]\naddress = "fe80::1%eth0/64"', "with the length of its network"),
        ("[ethernet]\naddress = [1]", "ethernet.address: a text in quotes, or a list of them"),
        ('[ethernet]\ngateway = "192.168.1.1"', "ethernet.gateway: it needs an address beside it"),
        (
            '[ethernet]\naddress = "10.0.0.2/8"\ngateway = "192.168.1.1"',
            'gateway: "192.168.1.1": it is not in the network of 10.0.0.0/8',
        ),
        (
            '[ethernet]\naddress = "10.0.0.2/8"\ngateway = "10.0.0.2"',
            "it is the address of this computer",
        ),
        (
            '[ethernet]\naddress = "10.0.0.2/8"\ngateway = ["10.0.0.1", "10.0.0.3"]',
            "gateway: one for IPv4 and one for IPv6 are allowed",
        ),
        ('[ethernet]\ndns = ["dns.example.org"]', 'dns: "dns.example.org": an address is allowed'),
        ('[time]\nservers = ["a b"]', 'time.servers: "a b": the name of a host or an address'),
        (f"[time]\nservers = {['a'] * 9}", "time.servers: 9 servers; at most 8 are allowed"),
        ("[wifi]", "wifi.ssid: it is missing"),
        ("[wifi]", "wifi.country: it is missing"),
        ("[wifi]", "wifi.passphrase: one of passphrase and psk is needed, and not both"),
        (WIFI + f'psk = "{"a" * 64}"', "one of passphrase and psk is needed, and not both"),
        (WIFI.replace("DE", "de"), 'wifi.country: "de": two capital letters'),
        (WIFI.replace("plant", "ü" * 17), "1 to 32 bytes are allowed"),
        (WIFI.replace("plant", "a\\nb"), "no control characters"),
        (WIFI + "hidden = 1", "wifi.hidden: 1: true or false is allowed"),
        (
            WIFI + 'address = "10.0.0.2/8"\n[ethernet]\naddress = "10.0.0.2/8"',
            "wifi.address: 10.0.0.2 is that of ethernet already",
        ),
        ("[wifi", "network.toml: Expected"),
        ("#" * 70_000, "it is larger than 64 KiB"),
    ],
)
def test_mistakes(text: str, told: str) -> None:
    """A mistake is told with file and key, and what is allowed."""
    assert told in problems(text)


def test_not_utf8() -> None:
    """A file in another encoding is told."""
    with pytest.raises(ConfigError, match="byte 9 is not UTF-8"):
        parse_network("[wifi]\n# ü".encode("latin-1") + b"\xff")


def test_one_mistake_is_told_once() -> None:
    """A gateway is not blamed for an address that is wrong."""
    wrong = '[ethernet]\naddress = "192.168.1.20"\ngateway = "192.168.1.1"\n'
    assert len(problems(wrong).splitlines()) == 1


def test_all_mistakes_at_once() -> None:
    """Every mistake is told, not the first one only."""
    told = problems('hostname = "Shed"\nfoo = 1\n[wifi]\nssid = ""\n[time]\nserver = "a"')
    assert len(told.splitlines()) == 6


@pytest.mark.parametrize(
    "wrong",
    [
        'passphrase = "s3cret"',
        'psk = "s3cret"',
        'passphrase = ["s3cret"]',
        'pasphrase = "s3cret"',
        'passphrase = "s3cretsecret"\npsk = "s3cret"',
        'passphrase = "s3cret',
    ],
)
def test_no_secret_is_told(wrong: str) -> None:
    """P11: whatever is wrong with a secret, it does not stand in what is told; nor does it in how
    settings show themselves."""
    assert "s3cret" not in problems(f'[wifi]\nssid = "plant"\ncountry = "DE"\n{wrong}\n')
    assert PASSPHRASE not in repr(parse_network(ALL.encode()))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_content(data: bytes) -> None:
    """Whatever is in the file, it is read or refused, and nothing else."""
    with suppress(ConfigError):
        assert isinstance(parse_network(data), Network)
