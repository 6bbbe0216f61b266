"""A site: one broker, and the nodes and people that may use it."""

from edgekernel.mqtt.site.access import Role
from edgekernel.mqtt.site.site import Site

__all__ = ["Role", "Site"]
