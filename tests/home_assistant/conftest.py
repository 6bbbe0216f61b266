"""Home Assistant, if it is there: `make test-home-assistant` says where its Python is.

Without it nothing of this folder is collected: it needs another Python, which not everybody has.
"""

from __future__ import annotations

import os

PYTHON = os.environ.get("HOME_ASSISTANT_PYTHON", "")

collect_ignore_glob = [] if PYTHON else ["test_*.py"]
