"""A broker that is kept away: for a drill on a real node, at the seam to the network."""

from __future__ import annotations

from weakref import WeakSet

from edgekernel.mqtt.paho_transport import PahoTransport
from edgekernel.mqtt.transport import (
    Around,
    Login,
    MakeTransport,
    Medium,
    Server,
    Transport,
    TransportObserver,
)

_CUT_S = 2.0


class KeptAway:
    """Cuts the links that go over its `medium`, and lets none be made, as long as it is told to.

    To the node it is as if the broker had died: connections end without a word, and new ones are
    refused. The broker itself goes on, and publishes the last will.
    """

    def __init__(self, make: MakeTransport = PahoTransport) -> None:
        self._make = make
        self._links: WeakSet[_Link] = WeakSet()
        self.away = False

    @property
    def medium(self) -> Medium:
        """Over what a node's interface is to go."""
        return Medium(self._link)

    def keep(self, away: bool) -> None:
        """Cut what there is, or let the node connect again."""
        self.away = away
        if away:
            for link in list(self._links):
                link.close(_CUT_S, goodbye=False)

    def _link(self, observer: TransportObserver) -> Transport:
        link = _Link(self, self._make(observer))
        self._links.add(link)
        return link


class _Link(Around):
    """A transport that can be cut."""

    def __init__(self, kept: KeptAway, inner: Transport) -> None:
        super().__init__(inner)
        self._kept = kept

    def connect(self, server: Server, login: Login) -> None:
        if self._kept.away:
            raise ConnectionRefusedError("a drill keeps the broker away")
        self._inner.connect(server, login)
        if self._kept.away:  # in the meantime
            self._inner.close(_CUT_S, goodbye=False)
