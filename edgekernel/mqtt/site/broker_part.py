"""What a broker on another computer gets of a site is looked at before it counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.site.authority import problems_of_server
from edgekernel.platform.broker_card import (
    BROKER_CONF,
    BROKER_FILES,
    BROKER_FOLDER,
    BROKER_MEMORY,
    broker_files,
)

_PLACES = {
    "cafile": "ca.crt",
    "certfile": "server.crt",
    "keyfile": "server.key",
    "crlfile": "revoked.crl",
    "acl_file": "acl",
    "password_file": "passwords",
    "persistence_location": BROKER_MEMORY,
}
"""What mosquitto's configuration names, and the name that it has to have in the broker's folder."""
_LINES = {
    "acl": r"(user|topic|pattern) .+|#.*|",
    "passwords": r"[a-z0-9-]+:\$7\$[0-9]+\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+",
}
_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_FIRST_PORT = 1024
"""Those below it are root's, and the broker is not root."""


def check_broker_part(folder: Path, place: Path) -> None:
    """Check the folder `broker` of a site, which is to be the folder `place` of its computer.

    It has all files and no others, its certificates and its key belong together, its key is not the
    one of the authority, and its configuration is for that place and for mosquitto 2.0. Times are
    not looked at: a computer may not know its own yet. Raises ConfigError with a sentence for each
    mistake, in which no secret stands, and OSError.
    """
    names = [str(name) for name in broker_files(folder)]
    problems = [f"{name}: it is missing" for name in BROKER_FILES if name not in names]
    if not problems:
        files = {name: (folder / name).read_bytes() for name in BROKER_FILES}
        problems = [*_wrong_keys(files), *_wrong_lines(files), *_wrong_conf(files, place)]
    if problems:
        raise ConfigError(*(f"{BROKER_FOLDER}/{problem}" for problem in problems))


def _wrong_keys(files: dict[str, bytes]) -> Iterator[str]:
    for name, content in files.items():
        if len(_KEY.findall(content)) > (name == "server.key"):
            yield f"{name}: there is a private key in it that does not belong there"
    yield from problems_of_server(files)


def _wrong_lines(files: dict[str, bytes]) -> Iterator[str]:
    for name, allowed in _LINES.items():
        for number, line in enumerate(_text(files[name]).splitlines(), 1):
            if re.fullmatch(allowed, line) is None:
                yield f"{name}: line {number} is none that mosquitto reads"


def _wrong_conf(files: dict[str, bytes], place: Path) -> Iterator[str]:
    text = _text(files[BROKER_CONF])
    settings = [line.split(maxsplit=1) for line in text.splitlines() if line[:1] not in ("", "#")]
    found = {(key, value) for key, *rest in settings for value in rest}
    again = f"`edgekernel broker rewrite --mosquitto 2.0 --at {place}` writes it anew"
    if any("plugin" in key for key, _ in found):
        yield f"{BROKER_CONF}: it is for mosquitto 2.1, and 2.0 is to read it; {again}"
        return
    for key, name in _PLACES.items():
        values = {value.rstrip("/") for known, value in found if known == key}
        if values != {str(place / name)}:
            said = ", ".join(sorted(values)) or "missing"
            yield f"{BROKER_CONF}: {key} is {said}, and not {place / name}; {again}"
    if [value for key, value in found if key == "allow_anonymous"] != ["false"]:
        yield f"{BROKER_CONF}: it lets in everybody; {again}"
    ports = [value for key, value in found if key == "listener"]
    if len(ports) != 2 or not all(each.isdecimal() and int(each) >= _FIRST_PORT for each in ports):
        yield f"{BROKER_CONF}: two listeners, with ports from {_FIRST_PORT} on, are expected"


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
