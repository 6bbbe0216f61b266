"""Requests from outside: set an output, call a command; refused or carried out, and answered."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any

from edgekernel.core import message
from edgekernel.core.commands import nearest
from edgekernel.core.context import Context
from edgekernel.core.errors import (
    ConfigError,
    LifecycleError,
    RefusedError,
    UnavailableError,
    UnknownTargetError,
)
from edgekernel.core.output import Output
from edgekernel.core.turns import CallTurn
from edgekernel.mqtt.encoding import NotEncodableError, to_plain
from edgekernel.mqtt.payloads import (
    PayloadError,
    ReplyAddress,
    Request,
    error_payload,
    parse_call,
    parse_set,
    result_payload,
)
from edgekernel.mqtt.topics import Target, Topics, segment

PRINCIPAL = "mqtt"
"""Who asks, for the authorizer: MQTT 3.1.1 does not say which client a message comes from."""

MAX_WAITING = 200
_MAX_TEXT = 500

Reply = Callable[[str, bytes], object]


class Requests:
    """Carries out what arrives on the request topics, each as a turn of the runtime."""

    def __init__(self, ctx: Context, topics: Topics, reply: Reply) -> None:
        """Serve requests; `reply` publishes a payload on a topic."""
        self._ctx = ctx
        self._topics = topics
        self._reply = reply
        self._lock = threading.Lock()
        self._waiting = 0
        self._left_behind: set[str] = set()
        self._overloaded = False
        self.turned_away = 0

    def arrived(self, topic: str, payload: bytes, retained: bool) -> None:
        """Take a message in; called in the network thread. What is no request is ignored."""
        target = self._topics.target(topic)
        if target is None or self._clears_retained(topic, payload, retained):
            return
        request = self._read(target, payload)
        with self._lock:
            full = self._waiting >= MAX_WAITING
            first = full and not self._overloaded
            self._overloaded = full
            self._waiting += not full
            self.turned_away += full
        if full:
            self._turn_away(target, request.reply, first)
            return
        turn = CallTurn(
            lambda: self._serve(target, request, retained), f"mqtt {target.kind} {target}"
        )
        self._ctx.runtime.turns.submit_elsewhere(turn)

    def _clears_retained(self, topic: str, payload: bytes, retained: bool) -> bool:
        """Say whether this only takes a retained request off the broker, as its refusal asks for.

        On MQTT 3.1.1 the empty message that does so looks like a call without arguments.
        """
        if retained:
            if len(self._left_behind) < MAX_WAITING:
                self._left_behind.add(topic)
            return False
        if payload or topic not in self._left_behind:
            return False
        self._left_behind.discard(topic)
        return True

    @staticmethod
    def _read(target: Target, payload: bytes) -> Request | PayloadError:
        try:
            return parse_set(payload) if target.kind == "set" else parse_call(payload)
        except PayloadError as error:
            return error

    def _serve(self, target: Target, request: Request | PayloadError, retained: bool) -> None:
        """Carry out one request and answer it, whatever happens. Runs in a turn."""
        with self._lock:
            self._waiting -= 1
        reply = request.reply
        try:
            if reply.topic is not None:
                self._topics.check_reply(reply.topic)
        except RefusedError as error:
            self._refuse(target, ReplyAddress(), error)
            return
        try:
            if retained:
                raise RefusedError(
                    "retained requests are refused: they would be carried out again at every "
                    "connect; publish without the retain flag and clear this one"
                )
            if isinstance(request, PayloadError):
                raise request
            request.check_fresh(self._ctx.clock.now_utc())
            result = self._carry_out(target, request.content)
            self._answer(reply, result_payload(reply.id, to_plain(result)))
        except RefusedError as error:
            self._refuse(target, reply, error)
        except LifecycleError as error:
            self._refuse(target, reply, UnavailableError(str(error)))
        except NotEncodableError as error:
            self._answer(reply, error_payload(reply.id, "internal", f"{target}: done, but {error}"))
            self._report(target, error)
        except Exception as error:
            text = _short(f"{type(error).__name__}: {error}")
            self._answer(reply, error_payload(reply.id, "failed", text))
            self._report(target, error)

    def _carry_out(self, target: Target, content: Any) -> object:
        if target.kind == "set":
            self._output(target).set(content)
            return None
        runtime = self._ctx.runtime
        return runtime.invoke(self._command(target), content, principal=PRINCIPAL)

    def _output(self, target: Target) -> Output[Any]:
        devices = {segment(id): device for id, device in self._ctx.devices.items()}
        device = devices.get(target.owner)
        if device is None:
            raise UnknownTargetError(
                f"no device {target.owner[:64]!r}{nearest(target.owner, devices)}"
            )
        outputs = {segment(name): output for name, output in device.outputs.items()}
        output: Output[Any] | None = outputs.get(target.member)
        if output is None:
            raise UnknownTargetError(
                f"{device.id} has no output {target.member[:64]!r}{nearest(target.member, outputs)}"
            )
        return output

    def _command(self, target: Target) -> str:
        """Return the full name of the command that has this topic."""
        topics: dict[str, list[str]] = {}
        for command in self._ctx.runtime.commands.all():
            owner, _, name = command.name.rpartition(".")
            try:
                topics.setdefault(f"{segment(owner)}/{segment(name)}", []).append(command.name)
            except ConfigError:
                continue  # not to be named in a topic; the other surfaces have it
        wanted = f"{target.owner}/{target.member}"
        found = topics.get(wanted, [])
        if len(found) > 1:
            raise UnknownTargetError(f"{wanted} could be {' or '.join(found)}: rename one of them")
        if not found:
            raise UnknownTargetError(f"no command {wanted[:130]!r}{nearest(wanted, topics)}")
        return found[0]

    def _turn_away(self, target: Target, reply: ReplyAddress, first: bool) -> None:
        error = UnavailableError(f"busy: {MAX_WAITING} requests are waiting already")
        try:
            if reply.topic is not None:
                self._topics.check_reply(reply.topic)
        except RefusedError:
            reply = ReplyAddress()
        if first:  # one message per spell: more would feed the queue that is too long already
            self._refuse(target, reply, error)
        else:
            self._answer(reply, error_payload(reply.id, error.code, str(error)))

    def _refuse(self, target: Target, reply: ReplyAddress, error: RefusedError) -> None:
        text = _short(str(error))
        self._answer(reply, error_payload(reply.id, error.code, text))
        name = _short(str(target))
        self._ctx.emit(message.CommandRefused(name, PRINCIPAL, error.code, text))

    def _report(self, target: Target, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        text = _short(f"{type(error).__name__}: {error}")
        where = f"{target.kind} {target}"
        self._ctx.emit(message.InterfaceError(self._ctx.source, where, text, trace))

    def _answer(self, reply: ReplyAddress, payload: bytes) -> None:
        if reply.topic is not None:
            self._reply(reply.topic, payload)


def _short(text: str) -> str:
    """Keep what a stranger wrote from filling every log."""
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."
