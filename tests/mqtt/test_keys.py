"""Pairs of keys: two files, one of them secret, and what tells a key apart."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from edgekernel.core.errors import BusyError, InvalidValueError
from edgekernel.mqtt.keys import make_pair, principal_problem
from edgekernel.mqtt.signatures import Signatures
from edgekernel.mqtt.signing import Signer


def test_a_pair_is_two_files(tmp_path: Path) -> None:
    """The private key is for its owner only, whatever the umask; the public one is of it."""
    private, public = make_pair("anna", tmp_path)
    assert (private.name, public.name) == ("anna.key", "anna.pem")
    assert private.stat().st_mode & 0o777 == 0o600
    signer = Signer.read(private)
    described = Signatures({"anna": public.read_bytes()}).describe()
    assert described == {"required": False, "keys": {"anna": signer.fingerprint}}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Where one of the files is there already, neither is touched."""
    for there in ("anna.key", "anna.pem"):
        folder = tmp_path / there
        folder.mkdir()
        (folder / there).write_text("mine")
        with pytest.raises(BusyError, match=f"{there} is there already"):
            make_pair("anna", folder)
        assert [(each.name, each.read_text()) for each in folder.iterdir()] == [(there, "mine")]


@pytest.mark.parametrize("name", ["", "Anna", "a/b", "..", "mqtt", "a" * 65])
def test_names_that_no_node_file_can_have(tmp_path: Path, name: str) -> None:
    """A name that could not stand in a node file makes no files."""
    assert principal_problem(name)
    with pytest.raises(InvalidValueError, match="is no principal"):
        make_pair(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_is_what_others_compute(tmp_path: Path) -> None:
    """It is SHA-256 of the public key in DER, as openssl writes it."""
    openssl = shutil.which("openssl")
    assert openssl is not None
    private, public = make_pair("anna", tmp_path)
    to_der = [openssl, "pkey", "-pubin", "-in", str(public), "-outform", "DER"]
    der = subprocess.run(to_der, capture_output=True, check=True).stdout
    expected = b64encode(sha256(der).digest()).decode().rstrip("=")
    assert Signer.read(private).fingerprint == f"SHA256:{expected}"
