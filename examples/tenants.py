"""One class, several tenants: each instance has its properties, its storage and its commands.

python examples/tenants.py
"""

from typing import Any

from edgekernel import Runtime, command, component, prop, provides, requires


@component("storage")
@provides("IStorage", factory="of")
class Storage:
    """Gives each consumer a room of its own; nobody can ask for another's."""

    def __init__(self) -> None:
        self.rooms: dict[str, dict[str, str]] = {}

    def of(self, consumer: Any) -> dict[str, str]:
        return self.rooms.setdefault(consumer.name, {})


@component("tenant")
@prop("target", "target", "")
class Tenant:
    target: str
    storage: Any = requires("IStorage")

    @command
    def note(self, text: str) -> None:
        self.storage["note"] = text

    @command
    def show(self) -> str:
        return f"{self.target}: {self.storage.get('note', 'nothing')}"


def main() -> None:
    with Runtime() as runtime:
        runtime.register(Storage)
        for name, bed in (("acme", "bed 1"), ("globex", "bed 2")):
            runtime.instantiate(Tenant, name, {"target": bed})
        runtime.invoke("acme.note", {"text": "tomatoes"})
        print(runtime.invoke("tenant.show", target="bed 1"))  # by property,
        print(runtime.invoke("tenant.show", target="globex"))  # or by name


if __name__ == "__main__":
    main()
