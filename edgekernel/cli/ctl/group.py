"""The group of subcommands and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from edgekernel.cli.console import fail
from edgekernel.cli.ctl.link import link_of
from edgekernel.cli.exits import Exit, exit_codes
from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.versions import Protocol


@click.group(epilog=exit_codes(Exit.DONE, Exit.REFUSED, Exit.USAGE, Exit.NO_ANSWER))
@click.option("--host", default="127.0.0.1", envvar="EDGEKERNEL_HOST", show_default=True)
@click.option(
    "--port",
    type=int,
    envvar="EDGEKERNEL_PORT",
    show_default="1883, with TLS 8883",
    help="Its port.",
)
@click.option(
    "--broker",
    "brokers",
    multiple=True,
    metavar="HOST[:PORT]",
    envvar="EDGEKERNEL_BROKERS",
    help="Instead of --host: several brokers, the preferred one first.",
)
@click.option(
    "--websocket",
    "path",
    default="",
    metavar="PATH",
    envvar="EDGEKERNEL_WEBSOCKET",
    help="Go over a websocket, such as /mqtt.",
)
@click.option("--tls", is_flag=True, envvar="EDGEKERNEL_TLS", help="Encrypt the connection.")
@click.option(
    "--ca",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="EDGEKERNEL_CA",
    help="Whom to trust, with --tls: a file in PEM, instead of whom the system trusts.",
)
@click.option(
    "--cert",
    "certificate",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="EDGEKERNEL_CERT",
    help="Who you are, where the broker asks for it: a certificate in PEM, with --cert-key.",
)
@click.option(
    "--cert-key",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="EDGEKERNEL_CERT_KEY",
    help="The key of --cert.",
)
@click.option(
    "--server-name",
    default="",
    envvar="EDGEKERNEL_SERVER_NAME",
    help="The name in the broker's certificate, if it is not the host's.",
)
@click.option(
    "--alpn",
    default="",
    envvar="EDGEKERNEL_ALPN",
    help="The protocol's name where one port with TLS serves several, such as mqtt.",
)
@click.option("--username", default="", envvar="EDGEKERNEL_USERNAME", help="User on the broker.")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the password; or set EDGEKERNEL_PASSWORD.",
)
@click.option(
    "--client-id",
    default="",
    envvar="EDGEKERNEL_CLIENT_ID",
    show_default="one that nobody else has",
    help="For a broker that wants a certain one.",
)
@click.option(
    "--protocol",
    type=click.Choice(get_args(Protocol)),
    default="auto",
    show_default=True,
    envvar="EDGEKERNEL_PROTOCOL",
    help="The version of MQTT; auto is 5, and 3.1.1 where the broker does not take it.",
)
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="EDGEKERNEL_KEY",
    help="Sign what is asked with this private key; `ctl keygen` makes one.",
)
@click.option(
    "--as",
    "principal",
    default="",
    envvar="EDGEKERNEL_AS",
    show_default="the name of the key's file",
    help="The name that the nodes know the key by.",
)
@click.option("--prefix", default="edge", envvar="EDGEKERNEL_PREFIX", show_default=True)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 1e6, min_open=True),
    default=5.0,
    show_default=True,
    help="Seconds to wait for an answer.",
)
@click.pass_context
def ctl(context: click.Context, /, **options: Any) -> None:
    """See and control the nodes on an MQTT broker.

    \b
      edgekernel ctl nodes
      edgekernel ctl watch greenhouse-1
      edgekernel ctl get greenhouse-1 room
      edgekernel ctl set greenhouse-1 heater/power on
      edgekernel ctl call greenhouse-1 climate.set_target celsius=23
      edgekernel ctl set --where zone=north heater/power off

    Nodes are named exactly; many at once are picked by --where (labels of the node file, fields of
    `info`, state) or --all. Options may stand in the environment as EDGEKERNEL_HOST,
    EDGEKERNEL_PORT and so on. Of many nodes one that refuses counts more than one that is silent.
    """
    try:
        context.obj = link_of(options)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
