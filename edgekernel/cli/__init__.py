"""The command line: check and run a node, control nodes over MQTT, list drivers and boards."""

from edgekernel.cli.main import main

__all__ = ["main"]
