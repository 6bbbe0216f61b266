"""Requests from outside: set an output, call a command; refused or carried out, and answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from edgekernel.core import message
from edgekernel.core.call import Call
from edgekernel.core.context import Context
from edgekernel.core.errors import (
    ConfigError,
    LifecycleError,
    RefusedError,
    UnavailableError,
    UnknownTargetError,
    describe,
    nearest,
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
from edgekernel.mqtt.repeated import Repeated
from edgekernel.mqtt.topics import Target, Topics, segment

PRINCIPAL = "mqtt"
"""Who asks, for the authorizer: MQTT 3.1.1 does not say which client a message comes from."""

MAX_WAITING = 200
_MAX_TEXT = 500

Reply = Callable[[str, bytes], object]


class Requests:
    """Carries out what arrives on the request topics, in the order of arrival."""

    def __init__(self, ctx: Context, topics: Topics, reply: Reply) -> None:
        """Serve requests; `reply` publishes a payload on a topic."""
        self._ctx = ctx
        self._topics = topics
        self._reply = reply
        self._lock = ctx.clock.Lock()
        self._waiting = 0
        self._left_behind: set[str] = set()
        self._overloaded = False
        self.turned_away = 0
        self._repeated = Repeated(ctx.clock)

    def arrived(self, topic: str, payload: bytes, retained: bool) -> None:
        """Take a message in; called in the network thread. What is no request is ignored."""
        target = self._topics.target(topic)
        if target is None or self._clears_retained(topic, payload, retained):
            return
        request = self._read(target, payload)
        if request.reply.id is not None and not retained:
            request.reply = replace(request.reply, key=(topic, request.reply.id))
            if self._came_before(request.reply, payload):
                return
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

    def _came_before(self, reply: ReplyAddress, payload: bytes) -> bool:
        """Say whether it is a request that came before; then its answer is given again."""
        assert reply.key is not None
        with self._lock:
            if self._repeated.is_new(reply.key, payload):
                return False
            answer = self._repeated.answer(reply.key)
        if answer is not None and reply.topic is not None:
            self._reply(reply.topic, answer)
        return True

    @staticmethod
    def _read(target: Target, payload: bytes) -> Request | PayloadError:
        try:
            return parse_set(payload) if target.kind == "set" else parse_call(payload)
        except PayloadError as error:
            return error

    def _serve(self, target: Target, request: Request | PayloadError, retained: bool) -> None:
        """Begin to carry out one request; it is answered at its end. Runs in a turn."""
        reply = request.reply
        try:
            if reply.topic is not None:
                self._topics.check_reply(reply.topic)
        except RefusedError as error:
            self._fail(target, replace(reply, topic=None), error)
            return
        try:
            content = self._check(request, retained)
            if target.kind == "call":
                invoke = self._ctx.runtime.invoke_nowait
                call = invoke(self._command(target), content, principal=PRINCIPAL)
                call.when_done(lambda call: self._called(target, reply, call))
                return
            output, witness = self._output(target), self._ctx.runtime.commands.witness
            if witness is not None:
                witness.output_set(output.label, content, PRINCIPAL)
            output.set(content)
        except Exception as error:
            self._fail(target, reply, error)
        else:
            self._succeed(target, reply, None)

    def _check(self, request: Request | PayloadError, retained: bool) -> Any:
        """Return the content of a request, unless it is to be refused."""
        if retained:
            raise RefusedError(
                "retained requests are refused: they would be carried out again at every "
                "connect; publish without the retain flag and clear this one"
            )
        if isinstance(request, PayloadError):
            raise request
        request.check_fresh(self._ctx.clock.now_utc())
        return request.content

    def _called(self, target: Target, reply: ReplyAddress, call: Call) -> None:
        """Answer in a turn: what was no turn ends on a thread that must not be kept."""
        turns = self._ctx.runtime.turns
        if turns.inside():
            self._reply_to_call(target, reply, call)
        else:
            answer = partial(self._reply_to_call, target, reply, call)
            turns.submit_elsewhere(CallTurn(answer, f"mqtt reply {target}"))

    def _reply_to_call(self, target: Target, reply: ReplyAddress, call: Call) -> None:
        if call.error is None:
            self._succeed(target, reply, call.value)
        else:
            self._fail(target, reply, call.error, call)

    def _succeed(self, target: Target, reply: ReplyAddress, result: object) -> None:
        with self._lock:
            self._waiting -= 1
        try:
            self._answer(reply, result_payload(reply.id, to_plain(result)))
        except NotEncodableError as error:
            self._answer(reply, error_payload(reply.id, "internal", f"{target}: done, but {error}"))
            self._report(target, *describe(error))

    def _fail(
        self, target: Target, reply: ReplyAddress, error: BaseException, call: Call | None = None
    ) -> None:
        """Answer what was refused or has failed, and tell; of a call's refusal the runtime has."""
        with self._lock:
            self._waiting -= 1
        if isinstance(error, LifecycleError):
            error = UnavailableError(str(error))
        if isinstance(error, RefusedError):
            self._forget(reply)
            if call is None:
                self._refuse(target, reply, error)
            else:
                self._answer(reply, error_payload(reply.id, error.code, _short(str(error))))
            return
        text, trace = describe(error)
        self._answer(reply, error_payload(reply.id, "failed", _short(text)))
        hide = call.hide if call is not None else str
        self._report(target, hide(text), hide(trace))

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
        for command in self._ctx.runtime.commands.visible("mqtt"):
            owner, name = command.owner, command.note.name
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
        self._forget(reply)
        try:
            if reply.topic is not None:
                self._topics.check_reply(reply.topic)
        except RefusedError:
            reply = replace(reply, topic=None)
        if first:  # one message per spell: more would feed the queue that is too long already
            self._refuse(target, reply, error)
        else:
            self._answer(reply, error_payload(reply.id, error.code, str(error)))

    def _refuse(self, target: Target, reply: ReplyAddress, error: RefusedError) -> None:
        text = _short(str(error))
        self._answer(reply, error_payload(reply.id, error.code, text))
        name = _short(str(target))
        self._ctx.emit(message.CommandRefused(name, PRINCIPAL, error.code, text))

    def _forget(self, reply: ReplyAddress) -> None:
        """Let a request of which nothing was done come again."""
        if reply.key is not None:
            with self._lock:
                self._repeated.forget(reply.key)

    def _report(self, target: Target, text: str, trace: str) -> None:
        where = f"{target.kind} {target}"
        self._ctx.emit(message.InterfaceError(self._ctx.source, where, _short(text), trace))

    def _answer(self, reply: ReplyAddress, payload: bytes) -> None:
        if reply.key is not None:
            with self._lock:
                self._repeated.answered(reply.key, payload)
        if reply.topic is not None:
            self._reply(reply.topic, payload)


def _short(text: str) -> str:
    """Keep what a stranger wrote from filling every log."""
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."
