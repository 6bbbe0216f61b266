"""`edgekernel ctl`: nodes on a broker, seen and controlled from anywhere."""

from edgekernel.cli.ctl import acting, keygen, leasing, seeing, watching
from edgekernel.cli.ctl.group import ctl

__all__ = ["acting", "ctl", "keygen", "leasing", "seeing", "watching"]
