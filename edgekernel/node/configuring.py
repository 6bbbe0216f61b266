"""The part of a node that knows its configuration, and applies another one while it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from edgekernel.core import message
from edgekernel.core.clock import Clock
from edgekernel.core.context import Context
from edgekernel.core.errors import ConfigError, describe, of_user_code
from edgekernel.core.markers import command, on
from edgekernel.core.messages import Event, Message
from edgekernel.core.process import Process
from edgekernel.core.runtime import Runtime
from edgekernel.node.config_messages import (
    ConfigApplied,
    ConfigFallback,
    ConfigKept,
    ConfigRejected,
    ConfigRolledBack,
)
from edgekernel.node.config_record import Judged, Kept, Record, digest_of
from edgekernel.node.difference import Difference, difference, plain
from edgekernel.node.fingerprint import fingerprint, shown
from edgekernel.node.outputs import forget_gone
from edgekernel.node.plan import Plan, make_plan
from edgekernel.node.reconfigure import Reconfiguration
from edgekernel.node.secrets import without_secrets
from edgekernel.node.starting import Start
from edgekernel.node.trial import complaints, stand_trial


@dataclass(frozen=True, slots=True)
class Verdict:
    """What has come of a configuration: `result` is "applied", "rejected" or "rolled_back"; empty
    if the node was stopped before that was known. `hash` is that of what the node runs now."""

    result: str
    hash: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration as far as it says what it is; `plan` checks the rest. Raises ConfigError."""

    plan: Callable[[], Plan]
    version: str = ""
    principal: str = ""
    issued_ns: int = 0
    """When it was signed; 0 if it was not."""
    now: bool = False
    """Whether it does not wait until the node is free."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A configuration that is to be applied."""

    source: str
    read: Callable[[], Proposal]
    """Reads it, beside the turns. Raises ConfigError."""
    digest: str = ""
    """Of the remote document."""
    done: Callable[[Verdict], object] = lambda verdict: None


class NodeFile(Process):
    """Stands for a node file that is no good: the node goes on without it, degraded."""

    name = "node-file"

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Say what is wrong with it."""
        self._problems = problems

    def start(self, ctx: Context) -> None:
        """Raise ConfigError: it is out of use until another one is applied."""
        raise ConfigError(*self._problems, "the last good configuration is used")


class Configuration(Process):
    """Knows what a node runs, and applies another configuration on SIGHUP or when it is asked to.

    One at a time, beside the turns: it is checked, what differs is done, and the node stands
    trial; if it is not as well as before within the time of `[config]`, the one before runs
    again. Each end is a message, `config.applied`, `config.rejected` or `config.rolled_back`.
    What has proven itself is kept in the data folder as the last good configuration, without
    secrets.
    """

    name = "config"

    def __init__(
        self,
        runtime: Runtime,
        start: Start,
        reconfiguration: Reconfiguration,
        check: Callable[[Plan], object] = lambda plan: None,
    ) -> None:
        """Begin with what the node starts with. `check` raises ConfigError for what else is wrong
        with a plan, such as its link."""
        self.plan = start.plan
        self.record: Record = start.record
        self._runtime = runtime
        self._start = start
        self._source, self._version = start.source, start.version
        self._file_digest = start.digest
        self._own = start.own
        self._reconfiguration = reconfiguration
        self._check = check
        self._lock = runtime.clock.Lock()
        self._waiting: deque[Wanted] = deque()
        self._at_work = False
        self._stopping = runtime.clock.Event()
        self.record = _concluded(self.record)
        self._seen = "" if self.record.desired is None else self.record.desired.digest
        self._held_up: Judged | None = None
        self.changed: Callable[[], object] = lambda: None
        """Is called when what `report` returns may be another, on any thread."""
        if self._is_fallback:
            runtime.register(NodeFile(start.problems), optional=True)

    @property
    def hash(self) -> str:
        """The fingerprint of what the node runs."""
        return fingerprint(self.plan.document)

    @property
    def own(self) -> Plan | None:
        """The plan of the node file, where the secrets are; None if it has mistakes."""
        return self._own

    @property
    def file_digest(self) -> str:
        """The digest of the node file, as it was read last."""
        return self._file_digest

    @command
    def show(self) -> dict[str, Any]:
        """Return what the node runs, its secrets hidden: the document, its hash, its version and
        where it is from."""
        return {
            "document": shown(self.plan.document),
            "hash": self.hash,
            "version": self._version,
            "source": self._source,
            "file": self.plan.path.name,
            "problems": list(self._start.problems) if self._is_fallback else [],
        }

    @property
    def _takes_remote(self) -> bool:
        table = self.plan.document.mqtt
        return table is not None and table.remote_config

    @property
    def _is_fallback(self) -> bool:
        return self._source == "last good"

    def submit(self, wanted: Wanted) -> None:
        """Apply a configuration when what goes on has ended; returns at once.

        Of what waits from one source only the latest counts: the others are not looked at.
        """
        with self._lock:
            self._waiting = deque(each for each in self._waiting if each.source != wanted.source)
            self._waiting.append(wanted)
            first, self._at_work = not self._at_work, True
        if first:
            self._runtime.clock.Thread(self._work, f"{self._runtime.name}:configuration").start()

    def reload(self, done: Callable[[Verdict], object] = lambda verdict: None) -> None:
        """Read the node file again and apply it."""
        path, environ = self.plan.path, self._start.environ
        self.submit(Wanted("file", lambda: Proposal(lambda: make_plan(path, environ)), done=done))

    def desire(self, digest: str, read: Callable[[], Proposal]) -> None:
        """Apply a remote document, unless it is the one that came last: it comes again with each
        link, and what has come of it stands."""
        with self._lock:
            known = self._seen == digest
            self._seen = digest
        if not known:
            self.submit(Wanted("remote", read, digest))

    def report(self) -> dict[str, Any]:
        """Return what the node runs, and what has come of the latest remote document."""
        judged = self._held_up or self.record.desired
        return {
            "hash": self.hash,
            "version": self._version,
            "source": self._source,
            "remote": self._takes_remote,
            "desired": None
            if judged is None
            else {
                "digest": judged.digest,
                "version": judged.version,
                "result": judged.result,
                "problems": list(judged.problems),
                "at": judged.at,
            },
        }

    def stop(self, ctx: Context) -> None:
        """Let no trial go on: what is on trial is not kept."""
        self._stopping.set()

    @on(message.SystemReload)
    def _reload(self, event: Event) -> None:
        self.reload()

    @on(message.RuntimeBooted)
    def _booted(self, event: Event) -> None:
        start = self._start
        if start.problems:
            self.ctx.emit(ConfigFallback(start.source, self.hash, start.problems))
        if start.record.problem:
            self.ctx.emit(ConfigKept(self.hash, start.record.problem))
        if start.file is not None and not self._is_fallback:
            self._runtime.clock.Thread(self._prove, f"{self._runtime.name}:first trial").start()

    def _prove(self) -> None:
        """Keep what the node has started with, when it has run for long enough."""
        plan = self.plan
        if self._stopping.wait(plan.document.config.healthy_for):
            return
        with self._lock:
            if self._at_work or self.plan is not plan:
                return
            self._at_work = True
        good = self.record.good
        if good is None or (good.hash, self.record.file) != (self.hash, self._file_digest):
            self._keep(plan, "" if good is None else good.digest)
        forget_gone(self._runtime)
        self._work()  # what has come meanwhile

    @property
    def clock(self) -> Clock:
        """The clock of the node."""
        return self._runtime.clock

    # One at a time, on a thread of its own

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or self._stopping.is_set():
                    self._at_work = False
                    return
                wanted = self._waiting.popleft()
            try:
                verdict = self._apply(wanted)
            except BaseException as error:  # a mistake here must not end what comes after it
                verdict = self._failed(wanted, error)
            try:
                wanted.done(verdict)
            except BaseException as error:
                self._failed(wanted, error)

    def _failed(self, wanted: Wanted, error: BaseException) -> Verdict:
        what, trace = describe(of_user_code(error))
        self._tell(message.BackgroundError(f"{self.name}: {wanted.source}", what, trace))
        return Verdict("rejected", self.hash, (what,))

    def _apply(self, wanted: Wanted) -> Verdict:
        from edgekernel.node.verifying import verify  # loads a simulated board: not at the start

        if wanted.source == "file":
            wanted = replace(wanted, digest=_digest(self.plan))
        said = Proposal(lambda: self.plan)
        try:
            self._refuse_unchanged(wanted)
            said = wanted.read()
            if not self._wait_until_free(wanted, said):
                return Verdict("", self.hash)
            self._refuse_old(said)
            plan = said.plan()
            found = difference(self.plan, plan)
            _refuse_restart(plan, found)
            verify(plan)
            self._check(plan)
        except BaseException as caught:  # of a driver too, or an extra that is not installed
            problems = _problems_of(of_user_code(caught))
            self._judge(wanted, said, "rejected", problems)
            self._tell(ConfigRejected(wanted.source, said.version, said.principal, problems))
            return Verdict("rejected", self.hash, problems)
        self._judge(wanted, said, "trying", trial=plan)
        before, old = complaints(self._runtime), self.plan
        wrong = self._change(plan, found, before)
        if wrong is None:  # the node stops: nobody knows
            return Verdict("", self.hash)
        if wrong:
            return self._roll_back(wanted, said, old, tuple(wrong))
        return self._accept(wanted, said, plan, found)

    def _wait_until_free(self, wanted: Wanted, said: Proposal) -> bool:
        """Let a remote document wait while somebody says "not now", and report why; False if it is
        not wanted any more.

        It is not kept: after a restart it comes again from the broker.
        """
        if wanted.source != "remote" or said.now:
            return True

        def told(why: str) -> None:
            text = (f"the node is busy: {why}",)
            self._held_up = Judged(wanted.digest, "waiting", said.version, text, self._now())
            self.changed()

        try:
            return self._runtime.busy.wait(self._stopping, told, lambda: self._is_outdated(wanted))
        finally:
            self._held_up = None

    def _is_outdated(self, wanted: Wanted) -> bool:
        with self._lock:
            return any(each.source == wanted.source for each in self._waiting)

    def _judge(
        self,
        wanted: Wanted,
        said: Proposal,
        result: str,
        problems: tuple[str, ...] = (),
        trial: Plan | None = None,
    ) -> None:
        """Remember what has come of a remote document, or of a node file that was rolled back; and
        what is on trial."""
        document = None if trial is None else without_secrets(plain(trial.document))[0]
        now, record = self._now(), replace(self.record, trial=document)
        if wanted.source == "remote":
            before_ns = 0 if record.desired is None else record.desired.issued_ns
            newest_ns = max(before_ns, said.issued_ns)
            judged = Judged(wanted.digest, result, said.version, problems, now, newest_ns)
            self._write(replace(record, desired=judged))
            self.changed()
        elif result == "rolled_back":
            judged = Judged(wanted.digest, result, problems=problems, at=now)
            good = record.good
            if good is None or good.hash != self.hash:  # what runs again has run before
                good = self._kept(self.plan)
            self._write(replace(record, good=good, bad_file=judged))
        elif trial is not None:
            self._write(record)

    def _refuse_old(self, said: Proposal) -> None:
        """Refuse what was signed before another one that came: somebody may have kept it."""
        known = self.record.desired
        if said.issued_ns and known is not None and said.issued_ns <= known.issued_ns:
            raise ConfigError("desired: was signed before another one that came; sign it anew")

    def _refuse_unchanged(self, wanted: Wanted) -> None:
        """A node file that is as it was when a remote configuration was applied is older than that:
        it does not take its place."""
        if (wanted.source, self._source, wanted.digest) == ("file", "remote", self._file_digest):
            raise ConfigError(
                f"{self.plan.path.name}: has not changed since the remote configuration "
                f"{self._version} was applied, which is used; change it, or push another one"
            )

    def _change(self, plan: Plan, found: Difference, before: Mapping[str, str]) -> list[str] | None:
        """Apply a plan and let it stand trial; return what is wrong with it.

        None if the node stops: then whatever went wrong may be because of that.
        """
        try:
            self._reconfiguration.carry_out(plan)
        except BaseException as caught:
            error = of_user_code(caught)
            notes = getattr(error, "__notes__", ())
            wrong: list[str] | None = [": ".join([*notes, describe(error)[0]])]
        else:
            runtime, terms = self._runtime, plan.document.config
            wrong = []
            if found.does_something:
                look = partial(complaints, runtime)
                wrong = stand_trial(look, before, terms, runtime.clock, self._stopping)
        return None if self._runtime.phase.ending else wrong

    def _roll_back(
        self, wanted: Wanted, said: Proposal, old: Plan, problems: tuple[str, ...]
    ) -> Verdict:
        try:
            self._reconfiguration.carry_out(old, back=True)
        except BaseException as error:
            problems += (f"and the way back: {describe(of_user_code(error))[0]}",)
        self._judge(wanted, said, "rolled_back", problems)
        self._tell(ConfigRolledBack(wanted.source, said.version, said.principal, problems))
        return Verdict("rolled_back", self.hash, problems)

    def _accept(self, wanted: Wanted, said: Proposal, plan: Plan, found: Difference) -> Verdict:
        self.plan, self._source, self._version = plan, wanted.source, said.version
        if wanted.source == "file":
            self._own, self._file_digest = plan, wanted.digest
        self._keep(plan, wanted.digest if wanted.source == "remote" else "")
        forget_gone(self._runtime)
        if NodeFile.name in self._runtime.processes:
            self._runtime.hot_remove(NodeFile.name)
        keys = tuple(map(str, found.keys))
        self._tell(ConfigApplied(wanted.source, said.version, said.principal, self.hash, keys))
        self.changed()
        return Verdict("applied", self.hash)

    def _keep(self, plan: Plan, digest: str = "") -> None:
        """Make what has proven itself the last good configuration; `digest` is that of the remote
        document that it came as."""
        good = self._kept(plan, digest)
        desired = self.record.desired
        if desired is not None and digest and desired.digest == digest:
            desired = replace(desired, result="applied", at=good.at)
        if self._write(Record(good, self._file_digest, None, desired)):
            self._tell(ConfigKept(good.hash, ""))

    def _kept(self, plan: Plan, digest: str = "") -> Kept:
        document, _ = without_secrets(plain(plan.document))
        hash = fingerprint(plan.document)
        return Kept(document, hash, self._source, self._version, digest, self._now())

    def _write(self, record: Record) -> bool:
        """Keep a record if there is a folder for it; tell if that fails."""
        self.record = record
        if self._start.file is None:
            return False
        try:
            self._start.file.write(record)
        except OSError as error:
            self._tell(ConfigKept(self.hash, f"{self._start.file.folder}: {error}"))
            return False
        return True

    def _now(self) -> str:
        return self._runtime.clock.now_utc().isoformat(timespec="seconds")

    def _tell(self, told: Message) -> None:
        self._runtime.post(told, self.name)


def _problems_of(error: BaseException) -> tuple[str, ...]:
    return error.problems if isinstance(error, ConfigError) else (describe(error)[0],)


def _refuse_restart(plan: Plan, found: Difference) -> None:
    if found.restart:
        raise ConfigError(
            *(
                f"{plan.path.name}: {key}: needs a restart of the agent: {why}"
                for key, why in found.restart.items()
            )
        )


def _concluded(record: Record) -> Record:
    """Return a record without a trial that the end of the agent has cut short."""
    desired, good = record.desired, record.good
    if desired is None or desired.result != "trying":
        return record
    if good is not None and good.digest == desired.digest:
        return replace(record, desired=replace(desired, result="applied"))
    why = "the agent ended before the trial was over"
    return replace(record, desired=replace(desired, result="rolled_back", problems=(why,)))


def _digest(plan: Plan) -> str:
    try:
        return digest_of(plan.path.read_bytes())
    except OSError:
        return ""
