"""amqtt as a process: `python -m edgekernel.mqtt.amqtt_broker PORT`, on 127.0.0.1 only.

For the first run where mosquitto is missing, never more: amqtt 0.12 delivers retained messages to
clients that have not subscribed to them, keeps the old connection of a client id that connects
again, and lets a subscriber that stops reading grow its memory without bound.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

_MAX_CLIENTS = 100


def main(port: int) -> None:
    """Serve until SIGTERM; end with one line if that cannot begin."""
    logging.basicConfig(level=logging.CRITICAL)  # it logs every connection and every hiccup
    try:
        asyncio.run(_serve(port))
    except Exception as error:
        sys.exit(f"amqtt did not start: {error}")


async def _serve(port: int) -> None:
    from amqtt.broker import Broker

    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": _MAX_CLIENTS}
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    broker = Broker({"listeners": {"default": listener}, "plugins": anonymous})
    await broker.start()
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    await done.wait()
    await broker.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
