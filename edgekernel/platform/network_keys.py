"""The keys of `network.toml`, looked at one by one: every mistake is kept, and none is raised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
)
from typing import Any

from edgekernel.core.errors import nearest

_HOST = re.compile(r"(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?)+")


@dataclass(frozen=True, slots=True)
class Interface:
    """The addresses of an interface; without one it asks DHCP."""

    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    gateways: tuple[IPv4Address | IPv6Address, ...] = ()
    dns: tuple[IPv4Address | IPv6Address, ...] = ()


class Keys:
    """A table of the file. What is taken out of it is known; `finish` names what is not.

    `problems` holds one sentence per mistake, those of the tables inside included.
    """

    def __init__(self, table: Mapping[str, Any], path: str = "") -> None:
        self.problems: list[str] = []
        self._table = table
        self._path = path
        self._known: list[str] = []

    def wrong(self, key: str, text: str) -> None:
        """Keep a mistake."""
        self.problems.append(f"{self._path}{key}: {text}")

    def has(self, key: str) -> bool:
        """Say whether a key is there."""
        return key in self._table

    def finish(self) -> None:
        """Keep a mistake for each key that nobody asked for."""
        for key in self._table:
            if key not in self._known:
                self.wrong(key, f"there is no such key{nearest(key, self._known)}")

    def table(self, key: str) -> Keys:
        """Return the table at a key; an empty one if it is not there."""
        value = self._take(key, dict, "a table is allowed")
        inner = Keys({} if value is None else value, f"{self._path}{key}.")
        inner.problems = self.problems
        return inner

    def text(
        self, key: str, pattern: str = r"[^\0-\x1f\x7f]*", allowed: str = "no control characters",
        *, required: bool = False,
    ) -> str | None:  # fmt: skip
        """Return the text at a key that matches a pattern; None if there is none."""
        value: str | None = self._take(key, str, "a text in quotes is allowed")
        if value is None:
            if required and not self.has(key):
                self.wrong(key, "it is missing")
            return None
        if re.fullmatch(pattern, value) is None:
            self.wrong(key, f'"{value}": {allowed}')
        return value

    def secret(self, key: str, pattern: str, allowed: str) -> str | None:
        """Return the text at a key; a mistake in it is told without it."""
        value: str | None = self._take(key, str, "a text in quotes is allowed", secret=True)
        if value is not None and re.fullmatch(pattern, value) is None:
            self.wrong(key, f"it has {len(value)} characters; {allowed} are allowed")
        return value

    def flag(self, key: str) -> bool:
        """Return true or false; false if there is nothing."""
        return bool(self._take(key, bool, "true or false is allowed"))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; one text is as a list of it."""
        value = self._take(key, (str, list), "a text in quotes, or a list of them, is allowed")
        values = [value] if isinstance(value, str) else value or []
        if not all(isinstance(each, str) for each in values):
            self.wrong(key, "a text in quotes, or a list of them, is allowed")
            return ()
        return tuple(values)

    def interface(self) -> Interface:
        """Return what is said of addresses in this table, which has no other keys any more."""
        addresses = tuple(
            made for text in self.texts("address") if (made := self._address(text)) is not None
        )
        gateways = self._hosts("gateway")
        for gateway in gateways:
            self._check_gateway(gateway, addresses)
        if len({gateway.version for gateway in gateways}) < len(gateways):
            self.wrong("gateway", "one for IPv4 and one for IPv6 are allowed")
        dns = self._hosts("dns")
        self.finish()
        return Interface(addresses, gateways, dns)

    def check_host(self, key: str, host: str) -> None:
        """Keep a mistake if a text is neither the name of a host nor an address."""
        if _HOST.fullmatch(host) is None and _parsed_host(host) is None:
            self.wrong(key, f'"{host}": the name of a host or an address is allowed')

    def _address(self, text: str) -> IPv4Interface | IPv6Interface | None:
        try:
            made = None if "%" in text or "/" not in text else ip_interface(text)
        except ValueError:
            made = None
        if made is None or made.network.prefixlen == 0:
            allowed = 'an address with the length of its network, such as "192.168.1.20/24"'
            self.wrong("address", f'"{text}": {allowed}')
            return None
        if made.is_loopback or made.is_multicast or made.is_unspecified:
            self.wrong("address", f'"{text}": no computer on a network has this address')
        elif _is_of_network(made):
            of = f"the first and the last address of {made.network} are no computer's"
            self.wrong("address", f'"{text}": {of}')
        return made

    def _check_gateway(
        self,
        gateway: IPv4Address | IPv6Address,
        addresses: tuple[IPv4Interface | IPv6Interface, ...],
    ) -> None:
        if not self.has("address"):
            self.wrong("gateway", "it needs an address beside it; DHCP tells its own")
        elif gateway in {address.ip for address in addresses}:
            self.wrong("gateway", f'"{gateway}": it is the address of this computer')
        elif gateway.is_link_local or not addresses:
            return
        elif not any(gateway in each.network for each in addresses):
            networks = ", ".join(str(each.network) for each in addresses)
            self.wrong("gateway", f'"{gateway}": it is not in the network of {networks}')

    def _hosts(self, key: str) -> tuple[IPv4Address | IPv6Address, ...]:
        made = []
        for text in self.texts(key):
            host = _parsed_host(text)
            if host is None:
                self.wrong(key, f'"{text}": an address is allowed, such as "192.168.1.1"')
            else:
                made.append(host)
        return tuple(made)

    def _take(
        self, key: str, kind: type | tuple[type, ...], allowed: str, *, secret: bool = False
    ) -> Any:
        self._known.append(key)
        value = self._table.get(key)
        if value is None or isinstance(value, kind):
            return value
        self.wrong(key, allowed if secret else f"{value!r}: {allowed}")
        return None


def _is_of_network(address: IPv4Interface | IPv6Interface) -> bool:
    """Say whether an IPv4 address stands for its network, or for all in it (RFC 1122, 3.2.1.3)."""
    network = address.network
    if address.version != 4 or network.prefixlen >= 31:  # RFC 3021: two computers have both
        return False
    return address.ip in (network.network_address, network.broadcast_address)


def _parsed_host(text: str) -> IPv4Address | IPv6Address | None:
    if "%" in text:  # an address with an interface's name, which nobody knows beforehand
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None
