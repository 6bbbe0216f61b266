"""Plain data of anything that a message or a command may hold: the same in every process.

Secrets are hidden, by annotation and by name. Addresses of objects and the folders of files in
tracebacks differ between processes and machines, and are taken out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any
from weakref import WeakKeyDictionary

from edgekernel.core.masking import HIDDEN, secret_parameters, sounds_secret
from edgekernel.core.messages import Message

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_FILE = re.compile(r'File "([^"\n]+)"')
_MAX_DEPTH = 16
_MAX_BITS = 1024
CUT = "<nested too deeply>"


def payload(message: Message) -> dict[str, Any]:
    """Return the fields of a message as plain data."""
    names, secret = _fields_of(type(message))
    return {name: HIDDEN if name in secret else plain(getattr(message, name)) for name in names}


def arguments(args: Mapping[str, Any], secret: Iterable[str] = ()) -> tuple[dict[str, Any], bool]:
    """Return arguments as plain data, and whether they are all there."""
    hidden = frozenset(secret)
    made = {
        str(name): HIDDEN if name in hidden else _item(str(name), value, 1)
        for name, value in args.items()
    }
    return made, made == args


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value as None, bool, int, float, str, bytes, or a list or mapping of such.

    What has no such form is named by its class.
    """
    if value is None or type(value) in (bool, float):
        return value
    if type(value) is str:
        return clean(value)
    if depth > _MAX_DEPTH:
        return CUT
    try:
        return _plain(value, depth)
    except Exception:  # what a stranger's class does when asked for its content
        return f"<{type(value).__qualname__}>"


def clean(text: str) -> str:
    """Return a text without addresses of objects and the folders of tracebacks."""
    if " at 0x" in text:
        text = _ADDRESS.sub(" at 0x...", text)
    if 'File "' in text:
        text = _FILE.sub(lambda match: f'File "{_short(match[1])}"', text)
    return text


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, str):
        return clean(str.__str__(value))
    if isinstance(value, Integral):
        return _integer(int(value))
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Mapping):
        return {str(name): _item(str(name), item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, Set):
        return sorted((plain(item, depth + 1) for item in value), key=repr)
    if isinstance(value, Message):
        return payload(value) if depth < _MAX_DEPTH else CUT
    return _object(value, depth)


def _object(value: Any, depth: int) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        named = {each.name: getattr(value, each.name) for each in fields(value)}
        return plain(named, depth + 1)
    dump = getattr(type(value), "model_dump", None)  # pydantic's
    if dump is not None:
        return plain(dump(value), depth + 1)
    return f"<{type(value).__qualname__}>"


def _item(name: str, value: Any, depth: int) -> Any:
    return HIDDEN if sounds_secret(name) else plain(value, depth)


def _integer(value: int) -> int | str:
    bits = value.bit_length()
    return value if bits <= _MAX_BITS else f"<an integer of {bits} bits>"


_known: WeakKeyDictionary[type[Message], tuple[tuple[str, ...], frozenset[str]]]
_known = WeakKeyDictionary()


def _fields_of(cls: type[Message]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the fields of a message class, and those that are secret."""
    found = _known.get(cls)
    if found is None:
        names = tuple(each.name for each in fields(cls))
        secret = secret_parameters(cls) | {name for name in names if sounds_secret(name)}
        found = _known[cls] = names, secret
    return found


def _short(path: str) -> str:
    """Return a file as its module is found: below the longest folder that Python searches."""
    folders = [f"{folder.rstrip('/')}/" for folder in sys.path if folder]
    found = max((f for f in folders if path.startswith(f)), key=len, default="")
    return path[len(found) :] if found else path.rpartition("/")[2]
