"""What systemd-networkd and wpa_supplicant are given for the settings of a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.platform.network import parse_network
from edgekernel.platform.network_files import (
    ETHERNET,
    SUPPLICANT,
    WIFI,
    network_files,
    write_network_files,
)

# IEEE 802.11-2020, table J-1 (test vectors of PSK derivation): passphrase, SSID, PSK.
PSKS = [
    ("password", "IEEE", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"),
    (
        "ThisIsAPassword",
        "ThisIsASSID",
        "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af",
    ),
    ("a" * 32, "Z" * 32, "becb93866bb8c3832cb777c2f559807c8c59afcb6eae734885001300a981cc62"),
]


def files(text: str) -> dict[str, str | None]:
    """Return what a file of settings becomes."""
    return network_files(parse_network(text.encode()))


def test_dhcp() -> None:
    """Without settings nothing is written, and with an empty file Ethernet asks DHCP."""
    assert set(network_files(None).values()) == {None}
    made = files("")
    lines = (made[ETHERNET] or "").splitlines()
    assert {"Type=ether", "DHCP=yes"} <= set(lines)
    assert (made[WIFI], made[SUPPLICANT]) == (None, None)


def test_fixed_addresses() -> None:
    """Addresses, gateways, name servers and time servers are handed on, and DHCP is off."""
    made = files(
        '[ethernet]\naddress = ["192.168.1.20/24", "fd00::20/64"]\ngateway = "192.168.1.1"\n'
        'dns = ["192.168.1.1", "9.9.9.9"]\n[time]\nservers = "ntp.example.org"\n'
    )[ETHERNET]
    assert made is not None
    lines = made.splitlines()
    assert "DHCP=no" in lines
    for line in ("Address=192.168.1.20/24", "Address=fd00::20/64", "Gateway=192.168.1.1",
                 "DNS=192.168.1.1", "DNS=9.9.9.9", "NTP=ntp.example.org"):  # fmt: skip
        assert lines.count(line) == 1
    assert lines.index("Gateway=192.168.1.1") > lines.index("[Route]") > lines.index("[Network]")


def test_ethernet_comes_first() -> None:
    """With both, packets go by Ethernet: its routes have the smaller metric."""
    made = files('[wifi]\nssid = "plant"\ncountry = "DE"\npassphrase = "12345678"\n')
    metrics = {
        name: {line for line in (made[name] or "").splitlines() if "Metric=" in line}
        for name in (ETHERNET, WIFI)
    }
    assert metrics == {ETHERNET: {"RouteMetric=100"}, WIFI: {"RouteMetric=600"}}


@pytest.mark.parametrize(("passphrase", "ssid", "psk"), PSKS)
def test_passphrase(passphrase: str, ssid: str, psk: str) -> None:
    """wpa_supplicant is given the key that the standard derives, and no passphrase; and so it is
    if the key itself was set."""
    head = f'[wifi]\ncountry = "DE"\nssid = "{ssid}"\n'
    made = files(head + f'passphrase = "{passphrase}"\n')[SUPPLICANT]
    assert made == files(head + f'psk = "{psk.upper()}"\n')[SUPPLICANT]
    assert made is not None
    assert f"\tpsk={psk}\n" in made
    assert f"\tssid={ssid.encode().hex()}\n" in made
    assert "country=DE\n" in made
    assert passphrase not in made
    assert "ctrl_interface" not in made


@given(
    st.text(
        st.characters(codec="utf-8", min_codepoint=0x20, exclude_characters='\x7f"\\'),
        min_size=1,
        max_size=8,
    )
)
def test_no_name_breaks_out(ssid: str) -> None:
    """Whatever a network is called, it stays one value in what wpa_supplicant reads."""
    text = f'[wifi]\ncountry = "DE"\nssid = "{ssid}"\npassphrase = "12345678"\n'
    made = files(text)[SUPPLICANT]
    assert made is not None
    assert len(made.splitlines()) == 10
    assert f"\tssid={ssid.encode().hex()}\n" in made


def test_written(tmp_path: Path) -> None:
    """networkd can read its files, which have no secret; that of wpa_supplicant is root's alone;
    one that is not wanted any more goes."""
    text = '[wifi]\nssid = "plant"\ncountry = "DE"\npassphrase = "12345678"\n'
    for _ in range(2):
        write_network_files(parse_network(text.encode()), tmp_path)
    written = (ETHERNET, WIFI, SUPPLICANT)
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in written}
    assert modes == {ETHERNET: 0o644, WIFI: 0o644, SUPPLICANT: 0o600}
    assert (tmp_path / SUPPLICANT).parent.stat().st_mode & 0o777 == 0o700
    assert "psk" not in (tmp_path / WIFI).read_text()
    write_network_files(None, tmp_path)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []
