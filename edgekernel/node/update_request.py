"""What the agent asks of root: to install a bundle, or to start the computer anew into it.

The agent has no rights for either. It writes a file; a unit of the image runs `edgekernel image
update` as root when the file appears, which trusts nothing in it.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgekernel.node.agent_file import read_agent_file, write_agent_file

REQUEST_FILE = Path("/run/edgekernel/update-request.json")
"""In the agent's own folder in memory: what is asked for does not outlive a boot."""
MAX_BUNDLE = 1000
MAX_BAD = 500
"""What was bad before the update and is named, at most."""
_MAX_NAME = 200
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """`action` is "install" or "reboot"; the rest as in `UpdateState`."""

    action: str
    id: str
    bundle: str = ""
    bad_before: tuple[str, ...] = ()
    now: bool = False


def wrong_bundle(bundle: str) -> str:
    """Say what is wrong with the place of a bundle; "" if nothing."""
    if not bundle.isprintable() or not 0 < len(bundle) <= MAX_BUNDLE:
        return f"a bundle is a path or an address of at most {MAX_BUNDLE} characters"
    if bundle.startswith("/"):
        return "" if ".." not in bundle.split("/") else f"{bundle}: a path without .."
    try:
        address = urlsplit(bundle)
        host = address.hostname
    except ValueError as error:
        return f"{bundle}: {error}"
    if address.scheme not in ("https", "http") or not host:
        return (
            f"{bundle}: write https://..., http://..., or the path of a file on the node, such as "
            "/data/update.raucb"
        )
    if address.username is not None or address.password is not None:
        return "a bundle's address has no user and no password: everybody on the broker sees it"
    return ""


def write_request(request: UpdateRequest, path: Path) -> None:
    """Hand a request over, all or nothing. Raises OSError."""
    write_agent_file(asdict(request), path)


def take_request(path: Path = REQUEST_FILE) -> UpdateRequest:
    """Take what was asked for: it is gone then. Raises OSError, and ValueError for what is no
    request."""
    try:
        return _checked(read_agent_file(path))
    finally:
        path.unlink(missing_ok=True)


def _checked(found: Any) -> UpdateRequest:
    """Return what was asked for. Raises ValueError."""
    if not isinstance(found, dict):
        raise ValueError("a request is an object")
    action, id, bundle = found.get("action"), found.get("id"), found.get("bundle", "")
    bad, now = found.get("bad_before", []), found.get("now", False)
    if action not in ("install", "reboot"):
        raise ValueError(f"a request installs or reboots; not {str(action)[:40]!r}")
    if not isinstance(id, str) or _ID.fullmatch(id) is None:
        raise ValueError("the id of a request is 32 of the characters 0-9 and a-f")
    if not isinstance(bundle, str) or (action == "install" and wrong_bundle(bundle)):
        raise ValueError(wrong_bundle(str(bundle)) or "a bundle is a text")
    if not isinstance(bad, list) or len(bad) > MAX_BAD or not isinstance(now, bool):
        raise ValueError(f"bad_before is a list of at most {MAX_BAD} names, now is a switch")
    if not all(isinstance(each, str) and 0 < len(each) <= _MAX_NAME for each in bad):
        raise ValueError(f"a name in bad_before has 1 to {_MAX_NAME} characters")
    return UpdateRequest(action, id, bundle, tuple(bad), now)
