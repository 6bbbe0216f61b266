"""The network settings of a computer, as they stand in `network.toml` on its card.

    hostname = "greenhouse-1"              # else the name of the node

    [ethernet]                             # all of it may be left out: DHCP
    address = "192.168.1.20/24"            # or a list, for IPv6 as well
    gateway = "192.168.1.1"
    dns = ["192.168.1.1"]

    [wifi]                                 # WPA2 with a passphrase; address, gateway, dns as above
    ssid = "plant"
    passphrase = "correct horse battery"   # 8 to 63 characters; or psk = "64 hex digits"
    country = "DE"                         # ISO 3166-1: which channels and powers are allowed
    hidden = false

    [time]
    servers = ["ntp.example.org"]          # instead of those that DHCP tells, or Debian's

Every key and table may be left out, and an empty file means Ethernet with DHCP.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from edgekernel.core.errors import ConfigError
from edgekernel.platform.network_keys import Interface, Keys

NETWORK_FILE = "network.toml"
_LARGEST = 64 * 1024
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_SSID = 32  # IEEE 802.11-2020, 9.4.2.2: 0 to 32 octets
_MOST_SERVERS = 8


@dataclass(frozen=True, slots=True)
class Wifi:
    """The wireless network to join, and the secret for it: a passphrase, or its 256-bit PSK."""

    ssid: str
    country: str
    interface: Interface
    passphrase: str | None = field(default=None, repr=False)
    psk: str | None = field(default=None, repr=False)
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """What is set; an interface without addresses asks DHCP."""

    hostname: str | None = None
    ethernet: Interface = field(default_factory=Interface)
    wifi: Wifi | None = None
    time_servers: tuple[str, ...] = ()


def load_network(path: Path) -> Network:
    """Read and validate a file of network settings.

    Raises ConfigError with one sentence per mistake, in which no secret stands, and OSError if it
    cannot be read.
    """
    return parse_network(path.read_bytes(), path.name)


def parse_network(data: bytes, name: str = NETWORK_FILE) -> Network:
    """Return the settings in the content of a file. Raises ConfigError, as `load_network` does."""
    if len(data) > _LARGEST:
        raise ConfigError(f"{name}: it is larger than 64 KiB")
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))  # some editors write a mark at the begin
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}") from None
    keys = Keys(document)
    network = Network(
        hostname=keys.text("hostname", _LABEL, "1 to 63 characters of a-z, 0-9 and -"),
        ethernet=keys.table("ethernet").interface(),
        wifi=_wifi(keys.table("wifi")) if "wifi" in document else None,
        time_servers=_time_servers(keys.table("time")),
    )
    keys.finish()
    _check_addresses(keys, network)
    if keys.problems:
        raise ConfigError(*(f"{name}: {problem}" for problem in keys.problems))
    return network


def _wifi(keys: Keys) -> Wifi:
    ssid = keys.text("ssid", required=True)
    if ssid is not None and not 1 <= len(ssid.encode()) <= _SSID:
        keys.wrong("ssid", f'"{ssid}": 1 to {_SSID} bytes are allowed')
    country = keys.text(
        "country", "[A-Z]{2}", 'two capital letters are allowed, such as "DE"', required=True
    )
    passphrase = keys.secret("passphrase", "[ -~]{8,63}", "8 to 63 characters of ASCII")
    psk = keys.secret("psk", "[0-9A-Fa-f]{64}", "64 hexadecimal digits")
    if keys.has("passphrase") == keys.has("psk"):
        keys.wrong("passphrase", "one of passphrase and psk is needed, and not both")
    hidden = keys.flag("hidden")
    return Wifi(ssid or "", country or "", keys.interface(), passphrase, psk, hidden)


def _time_servers(keys: Keys) -> tuple[str, ...]:
    servers = keys.texts("servers")
    if len(servers) > _MOST_SERVERS:
        keys.wrong("servers", f"{len(servers)} servers; at most {_MOST_SERVERS} are allowed")
    for server in servers:
        keys.check_host("servers", server)
    keys.finish()
    return servers


def _check_addresses(keys: Keys, network: Network) -> None:
    if network.wifi is None:
        return
    wired = {address.ip for address in network.ethernet.addresses}
    for address in network.wifi.interface.addresses:
        if address.ip in wired:
            keys.wrong("wifi.address", f"{address.ip} is that of ethernet already")
