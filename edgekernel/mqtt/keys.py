"""Pairs of Ed25519 keys: one is made, kept in two files, and told apart from others."""

from __future__ import annotations

import hashlib
import os
import re
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekernel.core.errors import BusyError, ConfigError, InvalidValueError

PRIVATE, PUBLIC = ".key", ".pem"
"""How the files of a pair end."""

_PRINCIPAL = re.compile(r"[a-z0-9-]{1,64}")
_NOBODY = "mqtt"
"""Whoever has not signed."""


def principal_problem(name: str) -> str:
    """Return what is wrong with a principal's name, as node files have it; nothing if it is one."""
    if _PRINCIPAL.fullmatch(name) and name != _NOBODY:
        return ""
    return (
        f"{name!r} is no principal: one has 1 to 64 of the characters a-z, 0-9 and '-', and is not "
        f"{_NOBODY!r}"
    )


def needs_extra(what: str) -> ConfigError:
    """Return the error of who needs the library of signatures, and it is not installed."""
    return ConfigError(f"{what}: needs the extra `secure`: pip install 'edgekernel[secure]'")


def fingerprint(public_key: Any) -> str:
    """Return what tells a public key apart: SHA-256 of its SubjectPublicKeyInfo, in base64."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    form = PublicFormat.SubjectPublicKeyInfo
    digest = hashlib.sha256(public_key.public_bytes(Encoding.DER, form)).digest()
    return "SHA256:" + b64encode(digest).decode().rstrip("=")


def make_pair(name: str, folder: Path) -> tuple[Path, Path]:
    """Make the files `<name>.key`, for its owner's eyes only, and `<name>.pem`, which is public.

    Returns both paths. Raises InvalidValueError for a name that is none, BusyError if one of the
    files is there already, ConfigError without the extra `secure`, OSError.
    """
    if problem := principal_problem(name):
        raise InvalidValueError(problem)
    private, public = folder / f"{name}{PRIVATE}", folder / f"{name}{PUBLIC}"
    for path in (private, public):
        if path.exists():
            raise BusyError(f"{path} is there already; whoever uses it would be shut out")
    secret, shown = _new_pair()
    _write(private, secret, 0o600)
    try:
        _write(public, shown, 0o644)
    except BaseException:
        with suppress(OSError):
            private.unlink()
        raise
    return private, public


def _new_pair() -> tuple[bytes, bytes]:
    """Return a private key and its public one, in PEM."""
    try:
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise needs_extra("a pair of keys") from None
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


def _write(path: Path, content: bytes, mode: int) -> None:
    """Make a file that was not there, with these rights from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
