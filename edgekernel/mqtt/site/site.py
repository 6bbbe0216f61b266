"""Site: the folder with the broker's configuration, the authority, and what was issued."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from edgekernel.core.errors import BusyError, ConfigError, InvalidValueError, UnknownTargetError
from edgekernel.core.errors import nearest as did_you_mean
from edgekernel.mqtt.dialect import load_dialect
from edgekernel.mqtt.rights import Rights
from edgekernel.mqtt.settings import NATIVE
from edgekernel.mqtt.site.access import ROLES, Role, access_list
from edgekernel.mqtt.site.authority import (
    DEFAULT_DAYS,
    Authority,
    key_pem,
    new_key,
    public_key_of_request,
    serial_of,
)
from edgekernel.mqtt.site.mosquitto import NODE_PORT, USER_PORT, configuration, password_line
from edgekernel.mqtt.site.record import SiteRecord
from edgekernel.mqtt.topics import prefix_problem
from edgekernel.platform.broker_card import BROKER_CONF, BROKER_MEMORY

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_SERVICE_USER = "mosquitto"

_NODE_TABLE = """\
# For the node file of {node}; the three files beside this one go to the paths below.
[mqtt]
host = "{host}"
port = {port}
prefix = "{prefix}"

[mqtt.tls]
ca = "ca.crt"
certificate = "node.crt"
key = "node.key"
"""


class Site:
    """A site's folder. Every change of it is written whole or not at all.

    `broker/` is what mosquitto reads, `authority/` what signs, `nodes/` what nodes are to get.
    Whoever can read `authority/` can make nodes.
    """

    def __init__(self, folder: Path) -> None:
        """Read the site in a folder. Raises ConfigError if there is none."""
        self.folder = folder.resolve()
        self.record = SiteRecord.read(self._record_file)
        self._authority = self._load_authority()

    @classmethod
    def make(
        cls,
        folder: Path,
        hosts: Sequence[str],
        *,
        prefix: str = "edge",
        node_port: int = NODE_PORT,
        user_port: int = USER_PORT,
        plugins: str = "",
        dialects: Sequence[str] = (),
        at: str = "",
    ) -> Self:
        """Make a site for a broker that is reached by these names and addresses: mosquitto 2.0, or
        2.1 if the folder of its `plugins` is given. Nodes may speak these `dialects` beside ours.
        The broker finds its files in the folder `at` of its computer, if that is another one, to
        which `broker_folder` is carried.

        Raises ConfigError for hosts, a prefix, dialects or a place that cannot be, BusyError if
        there is a site.
        """
        folder = folder.resolve()
        problems = [f"{host!r} is no host name or address" for host in hosts if not _is_host(host)]
        problems += ["a broker needs a host name or address"] if not hosts else []
        problems += [wrong] if (wrong := prefix_problem(prefix)) else []
        problems += _place_problems(at)
        _rights_of(dialects)
        if problems:
            raise ConfigError(*problems)
        if (folder / "site.json").exists():
            raise BusyError(f"{folder} is a site already; its nodes would no longer be let in")
        for each in (folder, folder / "authority", folder / "broker"):
            each.mkdir(parents=True, exist_ok=True)
        (folder / "authority").chmod(0o700)
        authority = Authority.make(f"edgekernel site {hosts[0]}"[:64])
        _write(folder / "authority/ca.key", authority.key_pem, secret=True)
        _write(folder / "authority/ca.crt", authority.pem)
        record = SiteRecord(
            prefix=prefix,
            hosts=list(hosts),
            node_port=node_port,
            user_port=user_port,
            plugins=plugins,
            dialects=list(dialects),
            at=at,
        )
        _write(folder / "site.json", record.model_dump_json(indent=1).encode(), secret=True)
        site = cls(folder)
        site.renew_server()
        return site

    @property
    def configuration_file(self) -> Path:
        """What mosquitto is to be started with, or to include."""
        return self._broker / BROKER_CONF

    @property
    def broker_folder(self) -> Path:
        """What the broker gets, and no more: nothing in it can sign."""
        return self._broker

    def renew_server(self) -> None:
        """Give the broker a new key and certificate, and write all of its files anew."""
        key = new_key()
        server = self._authority.vouch_for_server(key.public_key(), self.record.hosts)
        _write(self._broker / "server.key", key_pem(key), secret=True)
        _write(self._broker / "server.crt", server)
        _write(self._broker / "ca.crt", self._authority.pem)
        self._write_broker()

    def rewrite(
        self, plugins: str, dialects: Sequence[str] | None = None, at: str | None = None
    ) -> None:
        """Write the configuration for mosquitto 2.1 with its `plugins` in this folder; for 2.0
        without one. The dialects beside ours stay as they are unless given, and so does the place
        `at` which the broker has its files. Raises ConfigError for those that cannot be."""
        if dialects is not None:
            _rights_of(dialects)
        if problems := _place_problems(at or ""):
            raise ConfigError(*problems)
        with self._changing() as record:
            record.plugins = plugins
            record.at = record.at if at is None else at
            record.dialects = record.dialects if dialects is None else list(dialects)

    def enroll(self, node: str, *, request: bytes | None = None, days: int = DEFAULT_DAYS) -> Path:
        """Issue what a node needs and return the folder with it; certificates from before are
        no longer good.

        With a certificate signing `request`, as PEM, the key stays on the node and is not in the
        folder. Raises InvalidValueError for a name that is none and for a damaged request.
        """
        self._check_name(node, self.record.users, "a user")
        if not 0 < days <= DEFAULT_DAYS * 2:
            raise InvalidValueError(f"days: {days} is not allowed; 1 to {DEFAULT_DAYS * 2} is")
        key = new_key() if request is None else None
        public = key.public_key() if key else public_key_of_request(request or b"")
        certificate = self._authority.vouch_for_node(public, node, days)
        with self._changing() as record:
            record.revoked += record.nodes.get(node, [])[-1:]
            record.nodes.setdefault(node, []).append(str(serial_of(certificate)))
        folder = self.folder / "nodes" / node
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        _write(folder / "ca.crt", self._authority.pem)
        _write(folder / "node.crt", certificate)
        if key is not None:
            _write(folder / "node.key", key_pem(key), secret=True)
        table = _NODE_TABLE.format(
            node=node,
            host=self.record.hosts[0],
            port=self.record.node_port,
            prefix=self.record.prefix,
        )
        _write(folder / "mqtt.toml", table.encode())
        return folder

    def revoke(self, node: str) -> None:
        """Let a node in no more. Raises UnknownTargetError for one that was never enrolled."""
        if node not in self.record.nodes:
            raise UnknownTargetError(f"no node {node!r}{did_you_mean(node, self.record.nodes)}")
        with self._changing() as record:
            record.revoked += record.nodes.pop(node)[-1:]
        shutil.rmtree(self.folder / "nodes" / node, ignore_errors=True)

    def add_user(self, user: str, role: Role, password: str = "") -> str:
        """Let a person or program in, or give it another role and password; return the password.

        Without a `password` a random one of 128 bits is made. Raises InvalidValueError.
        """
        self._check_name(user, self.record.nodes, "a node")
        if role not in ROLES:
            raise InvalidValueError(f"no role {role!r}{did_you_mean(role, list(ROLES))}")
        password = password or secrets.token_urlsafe(16)
        with self._changing() as record:
            record.users[user] = role
            record.passwords[user] = password_line(user, password)
        return password

    def remove_user(self, user: str) -> None:
        """Let somebody in no more. Raises UnknownTargetError."""
        if user not in self.record.users:
            raise UnknownTargetError(f"no user {user!r}{did_you_mean(user, self.record.users)}")
        with self._changing() as record:
            del record.users[user], record.passwords[user]

    @property
    def _record_file(self) -> Path:
        return self.folder / "site.json"

    @property
    def _broker(self) -> Path:
        return self.folder / "broker"

    def _load_authority(self) -> Authority:
        folder = self.folder / "authority"
        try:
            key, certificate = ((folder / f"ca.{end}").read_bytes() for end in ("key", "crt"))
        except OSError as error:
            raise ConfigError(
                f"{error.filename} cannot be read: {error.strerror}; the site's authority signs "
                "every change"
            ) from None
        return Authority.load(key, certificate)

    @contextmanager
    def _changing(self) -> Iterator[SiteRecord]:
        """Change a copy of the record; it counts when all is written."""
        record = self.record.model_copy(deep=True)
        yield record
        _write(self._record_file, record.model_dump_json(indent=1).encode(), secret=True)
        self.record = record
        self._write_broker()

    def _write_broker(self) -> None:
        record = self.record
        lists = self._authority.revocations(map(int, record.revoked))
        _write(self._broker / "revoked.crl", lists)
        rules = access_list(record.prefix, record.users, _rights_of(record.dialects))
        _write(self._broker / "acl", rules.encode(), secret=True)
        passwords = "".join(f"{line}\n" for _, line in sorted(record.passwords.items()))
        _write(self._broker / "passwords", passwords.encode(), secret=True)
        place = Path(record.at) if record.at else self._broker
        memory = place / BROKER_MEMORY
        if not record.at:
            memory.mkdir(exist_ok=True)
        conf = configuration(
            place,
            memory,
            record.node_port,
            record.user_port,
            plugins=record.plugins,
        )
        _write(self.configuration_file, conf.encode())
        self._hand_over()

    def _hand_over(self) -> None:
        """Give mosquitto's files to its user: it gives up being root before it reads them."""
        if os.geteuid() == 0 and not self.record.at:
            for path in (self._broker, *self._broker.rglob("*")):
                with _unless_unknown_user():
                    shutil.chown(path, _SERVICE_USER, _SERVICE_USER)

    def _check_name(self, name: str, taken: object, by: str) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidValueError(
                f"the name {name!r} is not allowed; 1 to 64 of a-z, 0-9 and '-' are"
            )
        if isinstance(taken, dict) and name in taken:
            raise InvalidValueError(
                f"the name {name!r} is that of {by}: they would share their topics"
            )


@contextmanager
def _unless_unknown_user() -> Iterator[None]:
    try:
        yield
    except LookupError:  # mosquitto is not installed here: the files are carried to where it is
        return


def _rights_of(dialects: Iterable[str]) -> list[Rights]:
    """Return the rights of dialects, each as it is without settings of its own."""
    made = []
    for name in dialects:
        dialect = load_dialect(name)
        if name == NATIVE or (rights := dialect.rights(dialect.read({}))) is None:
            why = "is always there" if name == NATIVE else "does not say which topics it has"
            raise ConfigError(f"the dialect {name} {why}")
        made.append(rights)
    return made


def _place_problems(at: str) -> list[str]:
    if not at or (Path(at).is_absolute() and at.isprintable()):
        return []
    return [f"the broker's place {at!r} is no full path, such as /data/broker"]


def _is_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None


def _write(path: Path, content: bytes, *, secret: bool = False) -> None:
    """Write a file whole or not at all; a secret one is for its owner only."""
    made = path.with_name(f".{path.name}.new")
    made.unlink(missing_ok=True)
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)
