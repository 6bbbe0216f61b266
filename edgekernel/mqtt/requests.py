"""Requests from outside: set an output, call a command; refused or carried out, and answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

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
from edgekernel.core.time_quality import quality_of
from edgekernel.core.turn import Turn
from edgekernel.mqtt.admitted_turn import AdmittedTurn
from edgekernel.mqtt.asked_beside import with_properties
from edgekernel.mqtt.encoding import NotEncodableError, to_plain
from edgekernel.mqtt.freshness import Freshness
from edgekernel.mqtt.messages import RequestAnswered
from edgekernel.mqtt.payloads import (
    Heartbeat,
    PayloadError,
    ReplyAddress,
    Request,
    error_payload,
    parse_call,
    parse_lease,
    parse_set,
    result_payload,
)
from edgekernel.mqtt.relief import may_take_long
from edgekernel.mqtt.repeated import Kept, Repeated
from edgekernel.mqtt.request_log import Key, RequestLog
from edgekernel.mqtt.signatures import Signatures
from edgekernel.mqtt.topics import Target, segment
from edgekernel.mqtt.transport import NOTHING_BESIDE, Properties
from edgekernel.node.memory import FileMemory

MAX_WAITING = 200
_MAX_TEXT = 500
_INTERRUPTED = (
    "the agent ended after it had begun this call: it may have been carried out or not, and is not "
    "carried out again; look at the state, and if it is still wanted call with another id"
)

Reply = Callable[[str, bytes, Properties], object]

_PARSERS: dict[str, Callable[[bytes], Request]] = {
    "set": parse_set,
    "call": parse_call,
    "lease": parse_lease,
}


class RequestTopics(Protocol):
    """What a dialect knows of the topics of requests."""

    def target(self, topic: str) -> Target | None:
        """Return what a request to this topic is for; None if the topic is no request to us."""
        ...

    def check_reply(self, topic: str) -> object:
        """Raise ForbiddenError for a topic that no reply may go to."""
        ...


def read_content(target: Target, payload: bytes) -> Request:
    """Read a request of our own topic map. Raises PayloadError."""
    return _PARSERS[target.kind](payload)


class Requests:
    """Carries out what arrives on the request topics, in the order of arrival."""

    def __init__(
        self,
        ctx: Context,
        topics: RequestTopics,
        reply: Reply,
        signatures: Signatures | None = None,
        boot: str = "",
        read: Callable[[Target, bytes], Request] = read_content,
        submit: Callable[[Turn], object] | None = None,
        flagged: Callable[[], bool] = lambda: False,
    ) -> None:
        """Serve requests; `reply` publishes a payload on a topic, with what goes beside it. With
        `signatures` those that are signed count, for the boot of that id where the clock is not
        synchronised. `read` is given what a payload is for; it raises PayloadError, and never
        anything else.

        A request is given to `submit` as a turn; without one it runs in the dispatcher's thread.
        `flagged` says whether all that was published as retained arrives as such.
        """
        self._ctx = ctx
        self._signatures = signatures
        self._freshness = Freshness(
            ctx.clock, boot, lambda: quality_of(ctx.clock) == "synchronised"
        )
        self._topics = topics
        self._reply = reply
        self._submit = submit or ctx.runtime.turns.submit_elsewhere
        self._lock = ctx.clock.Lock()
        self._waiting = 0
        self._flagged = flagged
        self._left_behind: set[str] = set()
        self._overloaded = False
        self.turned_away = 0
        self._repeated = Repeated(ctx.clock, _log_of(ctx))
        self._parse = read

    def arrived(
        self,
        topic: str,
        payload: bytes,
        retained: bool,
        properties: Properties = NOTHING_BESIDE,
    ) -> None:
        """Take a message in; called in the network thread. What is no request is ignored."""
        target = self._topics.target(topic)
        if target is None or (not payload and self._clears_retained(target, topic, retained)):
            return
        if retained and len(self._left_behind) < MAX_WAITING:
            self._left_behind.add(topic)
        request = self._read(target, topic, payload)
        if properties is not NOTHING_BESIDE:
            request = with_properties(request, properties, self._ctx.clock.monotonic_ns())
        kept = None
        refused = retained or isinstance(request, PayloadError)  # it may come again
        if not refused and target.kind != "lease" and (id := request.reply.id) is not None:
            kept = self._remember(target, (topic, id), payload, request.reply)
            if kept is None:
                return
            request.reply = replace(request.reply, kept=kept)
        with self._lock:
            full = self._waiting >= MAX_WAITING
            first = full and not self._overloaded
            self._overloaded = full
            self._waiting += not full
            self.turned_away += full
        if full:
            self._turn_away(target, request.reply, first)
            return
        if target.kind == "call" and kept is not None:
            self._repeated.begin(kept)
        now_ns = self._ctx.clock.monotonic_ns()
        self._submit(
            AdmittedTurn(
                lambda: self._serve(target, request, retained, now_ns),
                f"mqtt {target.kind} {target}",
                lambda: self._cut(target, request.reply),
            )
        )

    def close(self) -> None:
        """Give back what it has open; nothing arrives any more."""
        self._repeated.close()

    def _wrong_reply(self, reply: ReplyAddress) -> RefusedError | None:
        """Return why nothing may be published where the reply is to go; None if it may."""
        try:
            if reply.topic is not None:
                self._topics.check_reply(reply.topic)
        except RefusedError as error:
            return error
        return None

    def _clears_retained(self, target: Target, topic: str, retained: bool) -> bool:
        """Say whether a message without a payload only takes a retained request off the broker, as
        its refusal asks for.

        On MQTT 3.1.1 nothing but that refusal tells it from a call without arguments.
        """
        clears = retained if self._flagged() else topic in self._left_behind and not retained
        self._left_behind.discard(topic)
        if clears:
            audit = _audit(target, ReplyAddress(), "cleared")
            self._ctx.runtime.post(audit, self._ctx.source)
        return clears

    def _remember(
        self, target: Target, key: Key, payload: bytes, reply: ReplyAddress
    ) -> Kept | None:
        """Return what is remembered of a request from now on; None if it came before. Then its
        answer is given again."""
        topic = None if self._wrong_reply(reply) else reply.topic
        came, kept = self._repeated.came(key, payload, None if topic is None else reply)
        if came == "new":
            return kept
        answer = kept.answer if came == "answered" else None
        if came == "interrupted":
            answer = error_payload(reply.id, "unknown_outcome", _INTERRUPTED)
        if answer is not None and topic is not None:
            self._reply(topic, answer, reply.beside)
        self._ctx.runtime.post(_audit(target, reply, "repeated"), self._ctx.source)
        return None

    def _read(self, target: Target, topic: str, payload: bytes) -> Request | PayloadError:
        parse = partial(self._parse, target)
        try:
            if self._signatures is None:
                return parse(payload)
            request = self._signatures.read_request(topic, payload, parse)
            if request.stamp is not None:
                request.reply = replace(request.reply, principal=request.stamp.principal)
            return request
        except PayloadError as error:
            return error

    def _serve(
        self, target: Target, request: Request | PayloadError, retained: bool, since_ns: int
    ) -> None:
        """Begin to carry out one request; it is answered at its end. Runs in a turn."""
        may_take_long()  # not before: a request that has its turn is not overtaken
        reply = request.reply
        if (wrong := self._wrong_reply(reply)) is not None:
            self._fail(target, replace(reply, topic=None), wrong)
            return
        try:
            content = self._check(request, retained, since_ns)
            if target.kind == "call":
                invoke = self._ctx.runtime.invoke_nowait
                call = invoke(self._command(target), content, principal=reply.principal)
                call.when_done(lambda call: self._called(target, reply, call))
                return
            if target.kind == "lease":
                self._hold(target.member, content, since_ns)
            else:
                self._set(target, content, reply.principal)
        except Exception as error:
            self._fail(target, reply, error)
        else:
            self._succeed(target, reply, None)

    def _set(self, target: Target, value: Any, principal: str) -> None:
        output, commands = self._output(target), self._ctx.runtime.commands
        commands.authorize(output.label, principal, role=output.role)
        witness = commands.witness
        if witness is not None:
            witness.output_set(output.label, value, principal)
        output.set(value)

    def _hold(self, name: str, heartbeat: Heartbeat, since_ns: int) -> None:
        """Hold a lease from the arrival on: what has waited long renews it for less time."""
        leases = self._ctx.runtime.outputs.leases
        if leases is None:
            raise UnknownTargetError(f"no lease {name[:64]!r}; there are none")
        if heartbeat.release:
            leases.get(name).release(heartbeat.holder)
        else:
            leases.get(name).renew(heartbeat.holder, since_ns)

    def _check(self, request: Request | PayloadError, retained: bool, since_ns: int) -> Any:
        """Return the content of a request that has arrived then, unless it is to be refused."""
        if retained:
            raise RefusedError(
                "retained requests are refused: they would be carried out again at every "
                "connect; publish without the retain flag and clear this one"
            )
        if isinstance(request, PayloadError):
            raise request
        clock = self._ctx.clock
        request.check_expiry(clock.monotonic_ns())
        if request.stamp is not None:
            self._freshness.check(request.stamp)
        elif request.expires is not None:
            if quality_of(clock) == "unsynchronised":  # nobody knows how late it is
                request.check_waited(clock.monotonic_ns() - since_ns)
            else:
                request.check_fresh(clock.now_utc())
        return request.content

    def _called(self, target: Target, reply: ReplyAddress, call: Call) -> None:
        """Answer in a turn: what was no turn ends on a thread that must not be kept."""
        turns = self._ctx.runtime.turns
        if turns.inside():
            self._reply_to_call(target, reply, call)
        else:
            answer = partial(self._reply_to_call, target, reply, call)
            turns.submit_elsewhere(AdmittedTurn(answer, f"mqtt reply {target}", answer))

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
            if target.kind != "lease":
                self._ctx.emit(_audit(target, reply, "ok"))
        except NotEncodableError as error:
            self._ctx.emit(_audit(target, reply, "ok", str(error)))
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
            reply = self._forget(reply)
            if call is None:
                self._refuse(target, reply, error)
            else:
                self._answer(reply, error_payload(reply.id, error.code, _short(str(error))))
            self._ctx.emit(_audit(target, reply, error.code, str(error)))
            return
        text, trace = describe(error)
        self._answer(reply, error_payload(reply.id, "failed", _short(text)))
        hide = call.hide if call is not None else str
        self._ctx.emit(_audit(target, reply, "failed", hide(text)))
        self._report(target, hide(text), hide(trace))

    def _output(self, target: Target) -> Output[Any]:
        device = self._ctx.devices.get(target.owner)
        if device is None or segment(device.id) != target.owner:
            devices = {segment(id): device for id, device in self._ctx.devices.items()}
            device = devices.get(target.owner)
            if device is None:
                near = nearest(target.owner, devices)
                raise UnknownTargetError(f"no device {target.owner[:64]!r}{near}")
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
        reply = self._forget(reply)
        if self._wrong_reply(reply) is not None:
            reply = replace(reply, topic=None)
        if first:  # one message per spell: more would feed the queue that is too long already
            self._refuse(target, reply, error)
        else:
            self._answer(reply, error_payload(reply.id, error.code, str(error)))

    def _cut(self, target: Target, reply: ReplyAddress) -> None:
        """Answer a request whose turn will not come."""
        if self._wrong_reply(reply) is not None:
            reply = replace(reply, topic=None)
        error = UnavailableError("cut out of a feedback loop: nothing of it was done")
        self._fail(target, reply, error)

    def _refuse(self, target: Target, reply: ReplyAddress, error: RefusedError) -> None:
        text = _short(str(error))
        self._answer(reply, error_payload(reply.id, error.code, text))
        name = _short(str(target))
        self._ctx.emit(message.CommandRefused(name, reply.principal, error.code, text))

    def _forget(self, reply: ReplyAddress) -> ReplyAddress:
        """Let a request of which nothing was done come again; return who is to hear of that."""
        if reply.kept is None:
            return reply
        return replace(reply, kept=None, repeats=self._repeated.forget(reply.kept))

    def _report(self, target: Target, text: str, trace: str) -> None:
        where = f"{target.kind} {target}"
        self._ctx.emit(message.InterfaceError(self._ctx.source, where, _short(text), trace))

    def _answer(self, reply: ReplyAddress, payload: bytes) -> None:
        """Publish an answer, also for the repeats that have come meanwhile."""
        repeats = reply.repeats
        if reply.kept is not None:
            repeats += self._repeated.answered(reply.kept, payload)
        for each in (reply, *repeats):
            if each.topic is not None:
                self._reply(each.topic, payload, each.beside)


def _log_of(ctx: Context) -> RequestLog | None:
    """Return the log beside what else the node knows after a restart, if it has such a place."""
    memory = ctx.runtime.outputs.memory
    if not isinstance(memory, FileMemory):
        return None
    return RequestLog(memory.folder, memory.disk, ctx.clock, ctx.runtime.post)


def _audit(target: Target, reply: ReplyAddress, outcome: str, error: str = "") -> RequestAnswered:
    id = "" if reply.id is None else str(reply.id)
    name = _short(str(target))
    return RequestAnswered(target.kind, name, reply.principal, id, outcome, _short(error))


def _short(text: str) -> str:
    """Keep what a stranger wrote from filling every log."""
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."
