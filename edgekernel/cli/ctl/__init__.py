"""`edgekernel ctl`: nodes on a broker, seen and controlled from anywhere."""

from edgekernel.cli.ctl import (
    acting,
    configuring,
    forgetting,
    keygen,
    leasing,
    seeing,
    updating,
    watching,
)
from edgekernel.cli.ctl.group import ctl

__all__ = [
    "acting",
    "configuring",
    "ctl",
    "forgetting",
    "keygen",
    "leasing",
    "seeing",
    "updating",
    "watching",
]
