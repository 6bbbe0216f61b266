"""docs/howto/secure-broker.md tells the truth: what it calls `ctl` with is there."""

from __future__ import annotations

import re
from pathlib import Path

from edgekernel.cli.ctl import ctl

PAGE = (Path(__file__).parents[2] / "docs/howto/secure-broker.md").read_text("utf-8")


def test_options_of_ctl() -> None:
    """Each option of the page's `ctl`, and each variable that may stand in its place, is one."""
    options = {name for each in ctl.params for name in each.opts}
    commands = re.findall(r"^edgekernel ctl ((?:.+\\\n)*.+)", PAGE, re.MULTILINE)
    shown = {option for each in commands for option in re.findall(r"--[\w-]+", each)}
    assert shown == {"--host", "--port", "--tls", "--ca", "--username", "--password-file"}
    assert shown <= options
    variables = {f"--{name.lower()}" for name in re.findall(r"`EDGEKERNEL_(\w+)", PAGE)}
    assert variables - {"--password"} <= shown
