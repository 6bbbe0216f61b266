"""The files that systemd-networkd and wpa_supplicant read, made of the settings of a network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from edgekernel.platform.network import Network, Wifi
from edgekernel.platform.network_keys import Interface

ETHERNET = "systemd/network/70-edgekernel-ethernet.network"
WIFI = "systemd/network/70-edgekernel-wifi.network"
SUPPLICANT = "edgekernel-network/wifi.conf"
_METRICS = {"ether": 100, "wlan": 600}
"""With both, packets go by Ethernet: the smaller one wins (systemd.network(5), RouteMetric=)."""
_ROUNDS = 4096  # IEEE 802.11-2020, J.4.1: PSK = PBKDF2(passphrase, ssid, 4096, 256 bits)


def network_files(network: Network | None) -> dict[str, str | None]:
    """Return every file below /run by its name; None for one that is not to be there.

    Without settings there is none, and what the image itself says counts: Ethernet with DHCP.
    """
    files: dict[str, str | None] = dict.fromkeys((ETHERNET, WIFI, SUPPLICANT))
    if network is not None:
        files[ETHERNET] = _networkd("ether", network.ethernet, network.time_servers)
        if network.wifi is not None:
            files[WIFI] = _networkd("wlan", network.wifi.interface, network.time_servers)
            files[SUPPLICANT] = _supplicant(network.wifi)
    return files


def write_network_files(network: Network | None, run: Path) -> None:
    """Write them below a folder; only that of wpa_supplicant has a secret, and is its owner's."""
    for name, text in network_files(network).items():
        path = run / name
        if text is None:
            path.unlink(missing_ok=True)
            continue
        secret = name == SUPPLICANT
        path.parent.mkdir(mode=0o700 if secret else 0o755, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        mode = 0o600 if secret else 0o644
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def _networkd(kind: str, interface: Interface, time_servers: tuple[str, ...]) -> str:
    """Return a file as systemd.network(5) describes it."""
    return "".join(f"{line}\n" for line in _lines(kind, interface, time_servers))


def _lines(kind: str, interface: Interface, time_servers: tuple[str, ...]) -> Iterator[str]:
    metric = _METRICS[kind]
    yield from ("[Match]", f"Type={kind}", "", "[Network]", "LinkLocalAddressing=yes")
    yield f"DHCP={'no' if interface.addresses else 'yes'}"
    yield from (f"Address={address}" for address in interface.addresses)
    yield from (f"DNS={address}" for address in interface.dns)
    yield from (f"NTP={server}" for server in time_servers)
    for gateway in interface.gateways:
        yield from ("", "[Route]", f"Gateway={gateway}", f"Metric={metric}")
    for section in ("DHCPv4", "DHCPv6", "IPv6AcceptRA"):
        yield from ("", f"[{section}]")
        if section != "DHCPv6":
            yield f"RouteMetric={metric}"
        if interface.dns:
            yield "UseDNS=no"
        if time_servers and section != "IPv6AcceptRA":
            yield "UseNTP=no"


def _supplicant(wifi: Wifi) -> str:
    """Return a file as wpa_supplicant.conf(5) describes it: WPA2 alone, and no control socket."""
    return (
        f"country={wifi.country}\n"
        "p2p_disabled=1\n"
        "network={\n"
        f"\tssid={wifi.ssid.encode().hex()}\n"
        f"\tscan_ssid={int(wifi.hidden)}\n"
        "\tproto=RSN\n"
        "\tkey_mgmt=WPA-PSK\n"
        "\tpairwise=CCMP\n"
        f"\tpsk={_psk(wifi)}\n"
        "}\n"
    )


def _psk(wifi: Wifi) -> str:
    if wifi.psk is not None:
        return wifi.psk.lower()
    phrase, ssid = (wifi.passphrase or "").encode(), wifi.ssid.encode()
    return hashlib.pbkdf2_hmac("sha1", phrase, ssid, _ROUNDS, 32).hex()
