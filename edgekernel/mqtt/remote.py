"""The other side: a client that finds nodes on a broker, watches them and asks them for things."""

from __future__ import annotations

import json
import queue
import time
import uuid
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from edgekernel.core.errors import EdgekernelError
from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.topics import Topics
from edgekernel.mqtt.transport import Inbound, Outbound

QUIET_S = 0.3
"""Retained messages come right after a subscription; a pause of this length ends them."""


class NoAnswerError(EdgekernelError, TimeoutError):
    """The broker or the node did not answer in time."""


class RequestRefusedError(EdgekernelError):
    """The node answered that it did not do what was asked; `code` says why in one word."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Remote:
    """A connection to the nodes on one broker. Use it as a context manager.

    `filters` are the topics below the prefix to receive, such as "+/status"; each message is
    (topic below the prefix, payload).
    """

    def __init__(self, settings: Settings, filters: tuple[str, ...], timeout_s: float) -> None:
        self._prefix = settings.prefix
        self._broker = settings.broker
        self._timeout_s = timeout_s
        self.name = f"ctl-{uuid.uuid4().hex[:8]}"
        self._arrived: queue.SimpleQueue[tuple[str, bytes] | str | None] = queue.SimpleQueue()
        self._client = MqttClient(
            settings,
            self,
            client_id=f"edgekernel-{self.name}",
            subscriptions=tuple(f"{self._prefix}/{each}" for each in filters),
        )

    def __enter__(self) -> Self:
        """Connect. Raises NoAnswerError that says why it is not possible."""
        self._client.start()
        try:
            arrived = self._arrived.get(timeout=self._timeout_s)
        except queue.Empty:
            arrived = f"{self._broker} did not answer within {self._timeout_s:g} s"
        if isinstance(arrived, str):
            self._client.close()
            raise NoAnswerError(arrived)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def messages(self, pause_s: float | None) -> Iterator[tuple[str, bytes]]:
        """Yield what arrives, until nothing does for `pause_s` seconds (None: for ever)."""
        while True:
            try:
                arrived = self._arrived.get(timeout=pause_s)
            except queue.Empty:
                return
            if isinstance(arrived, str):
                raise NoAnswerError(arrived)
            if arrived is not None:
                yield arrived

    def retained(self) -> dict[str, Any]:
        """Return the retained JSON documents that the filters match, by topic below the prefix."""
        found: dict[str, Any] = {}
        for topic, payload in self.messages(QUIET_S):
            try:
                found[topic] = json.loads(payload)
            except ValueError:
                continue  # somebody else's topic below our prefix
        return found

    def request(self, node: str, topic: str, body: dict[str, Any]) -> Any:
        """Publish a request below a node and return the result from its reply.

        `filters` must hold `{node}/reply/{name}`. Raises RequestRefusedError with the node's
        reason, and NoAnswerError if no reply comes in time.
        """
        id = uuid.uuid4().hex
        reply_to = f"{self._prefix}/{node}/reply/{self.name}"
        document = {**body, "id": id, "reply_to": reply_to}
        payload = json.dumps(document).encode()
        self._client.publish(Outbound(f"{self._prefix}/{node}/{topic}", payload))
        end = time.monotonic() + self._timeout_s
        while (left := end - time.monotonic()) > 0:
            for arrived, payload in self.messages(left):
                if f"{self._prefix}/{arrived}" != reply_to:
                    continue
                reply = json.loads(payload)
                if reply.get("id") == id:
                    return _result(reply)
        raise NoAnswerError(
            f"{node} did not answer within {self._timeout_s:g} s; is it online? "
            "`edgekernel ctl nodes` shows which nodes are"
        )

    def connected(self) -> None:
        """Called by the link: it is up."""
        self._arrived.put(None)

    def disconnected(self, reason: str) -> None:
        """Called by the link: it is down, and tried again."""

    def problem(self, text: str) -> None:
        """Called by the link: it cannot be made."""
        self._arrived.put(text)

    def message(self, message: Inbound) -> None:
        """Called by the link: a message has arrived."""
        self._arrived.put((message.topic.removeprefix(f"{self._prefix}/"), message.payload))

    def failed(self, where: str, error: Exception) -> None:
        """Called by the link: a callback has raised."""
        self._arrived.put(f"{where}: {type(error).__name__}: {error}")


def check_node_name(prefix: str, node: str) -> None:
    """Raise ConfigError for a node name that no topic can hold."""
    Topics(prefix, node)


def _result(reply: dict[str, Any]) -> Any:
    if reply.get("ok"):
        return reply.get("result")
    error = reply.get("error") or {}
    raise RequestRefusedError(error.get("code", "refused"), error.get("message", "no reason given"))
