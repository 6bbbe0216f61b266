"""The greenhouse example with a broker of the test's choice."""

from __future__ import annotations

from pathlib import Path

GREENHOUSE = Path(__file__).parents[1] / "examples" / "greenhouse"


def greenhouse_on(port: int, folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    """Write the greenhouse's node file for a broker on a loopback port, without some lines."""
    text = (GREENHOUSE / "node.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(without or ("\0",))]
    node = folder / "node.toml"
    node.write_text("\n".join(lines).replace("[mqtt]", f"[mqtt]\nport = {port}") + "\n")
    (folder / "greenhouse").symlink_to(GREENHOUSE / "greenhouse")
    return node
