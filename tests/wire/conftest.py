"""tshark, if it is there: `make test-wire` installs it and says where it is.

Without it nothing of this folder is collected: it is a large program, which not everybody has.
"""

from __future__ import annotations

import os

TSHARK = os.environ.get("TSHARK", "")

collect_ignore_glob = [] if TSHARK else ["test_*.py"]
