"""Who did what: one component follows all messages of a kind, and the runtime all requests.

python examples/audit_trail.py
"""

from edgekernel import (
    Context,
    Event,
    Message,
    Policy,
    RefusedError,
    Runtime,
    command,
    component,
    on,
)


class Opened(Message):
    name = "valve.opened"
    bed: str


class Closed(Message):
    name = "valve.closed"
    bed: str


@component("valves")
class Valves:
    ctx: Context

    @command
    def open(self, bed: str) -> None:
        self.ctx.emit(Opened(bed))

    @command
    def close(self, bed: str) -> None:
        self.ctx.emit(Closed(bed))


@component("trail")
class Trail:
    @on("valve.*")  # by name: whatever is said of valves, also by parts that come later
    def write(self, event: Event) -> None:
        print(f"{event.source}: {event.payload.name} {event.payload.to_dict()}")


def main() -> None:
    refused = []
    with Runtime() as runtime:
        runtime.register(Trail)
        runtime.register(Valves)
        runtime.policies.set("guest", Policy(deny=("valves.open",)))  # counts from now on
        for who, what in (("anna", "open"), ("guest", "close"), ("guest", "open")):
            try:
                runtime.invoke(f"valves.{what}", {"bed": "3"}, principal=who)
            except RefusedError as error:
                refused.append(error)
    print(*refused, sep="\n")  # the trail is written by now: whoever asks does not wait for it
    for record in runtime.commands.audit:  # arguments too, secrets masked
        print(record.principal, record.command, record.args, record.code)


if __name__ == "__main__":
    main()
