"""Sixty seconds: a component with a setting, a derived value, an effect and a command.

python examples/greeter.py
"""

from edgekernel import Context, Runtime, command, component, computed, effect, lifecycle


@component("greeter", version="1.0")
class Greeter:
    ctx: Context  # there from activate on: the runtime's clock, state, registry, emit

    @lifecycle.activate
    def activate(self) -> None:
        print("ready to greet")

    @computed
    def prefix(self) -> str:
        """Kept until the setting changes; called like the method it is."""
        found: str = self.ctx.state.get("greeter.prefix", "Hello")
        return found

    @effect
    def tell(self) -> None:
        """Runs at the start, and again whenever what it has read changes."""
        print(f"the prefix is now: {self.prefix()}")

    @command
    def greet(self, name: str = "world") -> dict[str, str]:
        """Greet someone by name: from here, over MQTT, from the command line."""
        return {"message": f"{self.prefix()}, {name}!"}


def main() -> None:
    with Runtime() as runtime:
        runtime.register(Greeter)
        print(runtime.invoke("greeter.greet", {"name": "Alice"}))
        runtime.state.set("greeter.prefix", "Howdy")  # the effect runs by itself
        print(runtime.invoke("greeter.greet", {"name": "Bob"}))


if __name__ == "__main__":
    main()
