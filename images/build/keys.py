"""Who may sign updates: a keyring in the image, and a key that signs its bundle."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from images.build.cache import Cache, key_of
from images.build.run import BuildError, Tools

KEYRING, CERTIFICATE, KEY = "keyring.pem", "cert.pem", "key.pem"

_THROWAWAY = f"""
cd /out
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7300 -batch \\
    -subj '/O=edgekernel/CN=throwaway key of a build' -keyout {KEY} -out {CERTIFICATE}
chmod 0600 {KEY}
cp {CERTIFICATE} {KEYRING}
"""


@dataclass(frozen=True)
class Keys:
    """Folders of PEM files: the keyring, and the certificate and key that sign, if one is to."""

    keyring: Path
    signer: Path | None
    throwaway: bool

    def notes(self) -> list[str]:
        """Say what somebody who flashes this has to know."""
        if self.throwaway:
            return [
                "THROWAWAY KEY: this image takes every update that is signed with",
                f"  {self.keyring / KEY}",
                "  Fine for trying. For real nodes: --keyring, --sign-cert and --sign-key.",
            ]
        if self.signer is None:
            return ["No bundle for updates: --sign-cert and --sign-key are missing."]
        return []


def find_keys(
    cache: Cache,
    root: Path,
    log: Path,
    keyring: Path | None,
    certificate: Path | None,
    key: Path | None,
) -> Keys:
    """Return the keys that were named; if none was, those of this cache, made once.

    Raises BuildError if one of them is missing.
    """
    for path in (keyring, certificate, key):
        if path is not None and not path.is_file():
            raise BuildError(f"{path}: there is no such file")
    if keyring is None and certificate is None and key is None:
        folder = _throwaway(cache, root, log)
        return Keys(folder, folder, throwaway=True)
    if keyring is None or (certificate is None) is not (key is None):
        raise BuildError("--sign-cert and --sign-key go together, and --keyring with them")
    folder, _ = cache.get("keyring", key_of(keyring), lambda new: _copy(new, {KEYRING: keyring}))
    if certificate is None or key is None:
        return Keys(folder, None, throwaway=False)
    names = {KEYRING: keyring, CERTIFICATE: certificate, KEY: key}
    signer = cache.folder / "signer"
    shutil.rmtree(signer, ignore_errors=True)
    _copy(signer, names)
    return Keys(folder, signer, throwaway=False)


def forget(keys: Keys) -> None:
    """Remove the copy of a key that was named."""
    if keys.signer is not None and not keys.throwaway:
        shutil.rmtree(keys.signer)


def _throwaway(cache: Cache, root: Path, log: Path) -> Path:
    def make(new: Path) -> None:
        new.mkdir(mode=0o700)
        Tools(root, {"/out": new}, log).shell(_THROWAWAY)

    return cache.get("throwaway", key_of("throwaway 1"), make)[0]


def _copy(folder: Path, names: dict[str, Path]) -> None:
    folder.mkdir(mode=0o700)
    for name, path in names.items():
        shutil.copyfile(path, folder / name)
        (folder / name).chmod(0o600)
