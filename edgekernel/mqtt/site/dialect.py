"""For which mosquitto a configuration is: 2.1 has plugins for what 2.0 does itself.

2.1 still reads what is for 2.0, and warns; 3.0 will not. So what decides is whether the plugins are
there.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.broker import find_mosquitto

ACL_PLUGIN, PASSWORD_PLUGIN = "mosquitto_acl_file.so", "mosquitto_password_file.so"

_WITH_PLUGINS = (2, 1)
_WITHOUT_FILES = (3, 0)
_LIMIT_S = 10.0
_BELOW = (
    "lib", "lib64", "lib/*-linux-gnu*", "lib/mosquitto", "lib64/mosquitto",
    "lib/*-linux-gnu*/mosquitto",  # Debian's package
)  # fmt: skip
_ROOTS = ("/usr", "/usr/local", "/opt/homebrew")


def plugins_for(wanted: str, folder: Path | None = None) -> str:
    """Return the folder of the plugins for "2.1", nothing for "2.0"; for "auto" what fits the
    mosquitto that is installed here, 2.0 if there is none.

    It is `folder` if that is given, else it is looked for. Raises ConfigError if "2.1" is wanted,
    or needed, and they are not there.
    """
    if wanted == "2.0":
        return ""
    binary = find_mosquitto()
    version = None if binary is None else installed_version(binary)
    if wanted == "auto" and folder is None and (version is None or version < _WITH_PLUGINS):
        return ""
    found = [folder] if folder is not None else _places(binary)
    for each in found:
        if all((each / name).is_file() for name in (ACL_PLUGIN, PASSWORD_PLUGIN)):
            return str(each.resolve())
    if wanted == "auto" and folder is None and version is not None and version < _WITHOUT_FILES:
        return ""
    where = str(folder) if folder is not None else "where libraries usually are"
    raise ConfigError(
        f"mosquitto 2.1 needs its plugins {ACL_PLUGIN} and {PASSWORD_PLUGIN}, and they are not in "
        f"{where}: name their folder with --plugins, or take --mosquitto 2.0"
    )


def installed_version(binary: str) -> tuple[int, int] | None:
    """Return the version of a mosquitto, such as (2, 1); None if it does not say."""
    try:
        done = subprocess.run(
            [binary, "-h"], capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = re.search(r"mosquitto version (\d+)\.(\d+)", done.stdout)
    return None if said is None else (int(said[1]), int(said[2]))


def _places(binary: str | None) -> list[Path]:
    """Return the folders in which the plugins may be, those beside the program first."""
    beside = [] if binary is None else [Path(binary).resolve().parents[1]]
    roots = dict.fromkeys([*beside, *map(Path, _ROOTS)])
    return [folder for root in roots for below in _BELOW for folder in sorted(root.glob(below))]
