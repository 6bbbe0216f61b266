"""A secret changes while the node runs: who connects with it connects anew, once.

python examples/secret_rotation.py
"""

from collections.abc import Callable

from edgekernel import Context, Runtime, batch, component, effect


@component("uplink")
class Uplink:
    ctx: Context

    @effect
    def connect(self) -> Callable[[], None]:
        """What is read here brings it back; what it returns cleans up before that."""
        user = self.ctx.state.get("uplink.user")
        token = self.ctx.state.get("uplink.token")
        print(f"connected as {user}, with a token of {len(token)} characters")
        return lambda: print(f"disconnected {user}")


def main() -> None:
    runtime = Runtime()
    runtime.state.set("uplink", {"user": "shed-1", "token": "first"})
    runtime.register(Uplink)
    with runtime:
        with batch():  # both at once: no connection with the new user and the old token
            runtime.state.set("uplink.user", "shed-2")
            runtime.state.set("uplink.token", "second")
        runtime.state.set("uplink.comment", "nobody reads this, and nothing runs")


if __name__ == "__main__":
    main()
