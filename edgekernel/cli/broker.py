"""`edgekernel broker` and `edgekernel node`: a broker that lets in whom it should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

import click

from edgekernel.cli.console import err, fail, out, print_json, table
from edgekernel.cli.exits import Exit
from edgekernel.core.errors import ConfigError, EdgekernelError

if TYPE_CHECKING:
    from edgekernel.mqtt.site import Site

_ROLES = ("viewer", "operator", "admin", "homeassistant")

_site_option = click.option(
    "--site",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    envvar="EDGEKERNEL_SITE",
    show_envvar=True,
    help="The folder that `broker init` has made; else this folder.",
)

_mosquitto_option = click.option(
    "--mosquitto", "wanted", type=click.Choice(("auto", "2.0", "2.1")), default="auto",
    show_default=True,
    help="For which version; auto is the one that is installed here, else 2.0, and 2.0 where 2.1 "
    "lacks its plugins.",
)  # fmt: skip
_plugins_option = click.option(
    "--plugins", type=click.Path(path_type=Path, file_okay=False),
    help="For 2.1, the folder with mosquitto_acl_file.so; else it is looked for.",
)  # fmt: skip
_at_option = click.option(
    "--at", "at", metavar="FOLDER",
    help="Where the broker has its files, if it is on another computer; on our image /data/broker.",
)  # fmt: skip
_dialect_option = click.option(
    "--dialect", "dialects", multiple=True, metavar="NAME",
    help="Let nodes speak this dialect too, such as homie; may be given more than once.",
)  # fmt: skip


@click.group()
def broker() -> None:
    """Set up mosquitto with TLS, a certificate for each node, and rights by topic.

    \b
      edgekernel broker init site --host broker.local
      edgekernel broker user alice --role operator --site site
      edgekernel node enroll greenhouse-1 --site site
    """


@broker.command(short_help="Make a site: a certificate authority and a broker.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--host", "hosts", multiple=True, required=True,
    help="A name or address under which nodes reach the broker; may be given more than once.",
)  # fmt: skip
@click.option("--prefix", default="edge", show_default=True, help="What all topics begin with.")
@click.option("--node-port", default=8883, show_default=True, type=click.IntRange(1, 65535))
@click.option("--user-port", default=8884, show_default=True, type=click.IntRange(1, 65535))
@_at_option
@_dialect_option
@_mosquitto_option
@_plugins_option
def init(
    folder: Path,
    hosts: tuple[str, ...],
    prefix: str,
    node_port: int,
    user_port: int,
    at: str | None,
    dialects: tuple[str, ...],
    wanted: str,
    plugins: Path | None,
) -> None:
    """Make the folder FOLDER with a certificate authority and mosquitto's configuration.

    Nodes come to one port with the certificate that `edgekernel node enroll` issues, people and
    programs to the other with a name and a password from `edgekernel broker user`. A node reads and
    writes its own topics and no others. Nobody is anonymous. Run it on the broker's machine: the
    configuration has the folder's full path in it. Or say with --at where the folder broker/ in it
    will be on that machine, and carry it there, now and after every change. A folder that is a site
    already is left as it is.
    """
    with _refusals():
        from edgekernel.mqtt.site import Site
        from edgekernel.mqtt.site.dialect import plugins_for

        where = plugins_for(_version(wanted, plugins, at), plugins)
        site = Site.make(
            folder,
            hosts,
            prefix=prefix,
            node_port=node_port,
            user_port=user_port,
            plugins=where,
            dialects=dialects,
            at=at or "",
        )
        out.print(f"{site.folder} is a site now, {_made_for(site)}. Next:", soft_wrap=True)
        start = ("start the broker", f"mosquitto -c {site.configuration_file}")
        if at:
            start = ("carry to the broker", f"{site.broker_folder}, which is {at} there")
        for what, how in (
            start,
            ("let a node in", f"edgekernel node enroll NODE --site {folder}"),
            ("let a person in", f"edgekernel broker user NAME --role operator --site {folder}"),
            ("keep safe", f"{site.folder / 'authority'}: whoever reads it can make nodes"),
        ):
            out.print(f"  {what + ':':<21}{how}", soft_wrap=True)


@broker.command(short_help="Write mosquitto's configuration anew.")
@_at_option
@_dialect_option
@_mosquitto_option
@_plugins_option
@_site_option
def rewrite(
    at: str | None, dialects: tuple[str, ...], wanted: str, plugins: Path | None, folder: Path
) -> None:
    """Write mosquitto's configuration anew, for the version that is installed or another one.

    Nodes and users stay as they are, and so do the dialects and the broker's place unless they are
    named. It counts when mosquitto is started anew.
    """
    with _refusals():
        from edgekernel.mqtt.site.dialect import plugins_for

        site = _open(folder)
        version = _version(wanted, plugins, at or site.record.at)
        site.rewrite(plugins_for(version, plugins), dialects or None, at)
        out.print(str(site.configuration_file), soft_wrap=True)
        err.print(f"{_made_for(site)}; it counts {_when(site, 'restart')}", soft_wrap=True)


@broker.command(short_help="Let a person or program in, or out.")
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), default="operator", show_default=True)
@click.option(
    "--password-file", type=click.File("r"),
    help="Read the password from a file, - for standard input; else one is made and shown.",
)  # fmt: skip
@click.option("--remove", is_flag=True, help="Let NAME in no more.")
@_site_option
def user(name: str, role: str, password_file: TextIO | None, remove: bool, folder: Path) -> None:
    """Let the person or program NAME in, or give it another role and password.

    A viewer reads what nodes publish; an operator also sets outputs and calls commands; an admin
    also changes configurations; homeassistant is an operator with the discovery topics. It counts
    when mosquitto has read its files anew: `systemctl reload mosquitto`, or SIGHUP.
    """
    with _refusals():
        site = _open(folder)
        if remove:
            site.remove_user(name)
            err.print(f"{name} is let in no more, {_when(site)}", soft_wrap=True)
            return
        given = "" if password_file is None else password_file.read().rstrip("\n")
        if password_file is not None and not given:
            fail(Exit.REFUSED, [f"--password-file: {password_file.name} is empty"])
        password = site.add_user(name, role, given)  # type: ignore[arg-type]  # checked by click
        if not given:
            out.print(password, soft_wrap=True, markup=False, highlight=False)
        err.print(f"{name} is let in as {role}, {_when(site)}", soft_wrap=True)


@broker.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@_site_option
def show(as_json: bool, folder: Path) -> None:
    """Show who is let in: the nodes and the users with their roles."""
    with _refusals():
        record = _open(folder).record
        if as_json:
            secret = {"passwords", "revoked", "nodes"}
            print_json(record.model_dump(exclude=secret) | {"nodes": sorted(record.nodes)})
            return
        listing = table("", "name", "may")
        for each in sorted(record.nodes):
            listing.add_row(each, f"node: {record.prefix}/{each}/#")
        for each, role in sorted(record.users.items()):
            listing.add_row(each, role)
        out.print(listing)


@click.group()
def node() -> None:
    """Let nodes in to the site's broker, or shut them out."""


@node.command(short_help="Issue a node its certificate.")
@click.argument("name")
@click.option(
    "--csr", type=click.File("rb"),
    help="A certificate signing request: then the key was made on the node and stays there.",
)  # fmt: skip
@click.option("--days", default=3650, show_default=True, help="How long the certificate is good.")
@_site_option
def enroll(name: str, csr: BinaryIO | None, days: int, folder: Path) -> None:
    """Issue the node NAME a certificate, and put all it needs into one folder.

    Carry that folder to the node and put what its mqtt.toml says into the node file. Enrolling a
    node again makes its earlier certificate worthless, after `systemctl reload mosquitto`.
    """
    with _refusals():
        made = _open(folder).enroll(name, request=csr.read() if csr else None, days=days)
        out.print(str(made), soft_wrap=True)
        err.print("carry these files to the node; its node file gets what mqtt.toml says")


@node.command(short_help="Make a node's certificate worthless.")
@click.argument("name")
@_site_option
def revoke(name: str, folder: Path) -> None:
    """Make the certificate of the node NAME worthless, after `systemctl reload mosquitto`."""
    with _refusals():
        site = _open(folder)
        site.revoke(name)
        err.print(f"{name} is let in no more, {_when(site)}", soft_wrap=True)


def _made_for(site: Site) -> str:
    return "for mosquitto 2.1" if site.record.plugins else "for mosquitto 2.0"


def _version(wanted: str, plugins: Path | None, at: str | None) -> str:
    """Return for which version to write; what is installed here says nothing of another place."""
    return "2.0" if at and wanted == "auto" and plugins is None else wanted


def _when(site: Site, verb: str = "reload") -> str:
    """Say when a change counts."""
    if site.record.at:
        return f"when {site.broker_folder} has been carried to the broker, as {site.record.at}"
    return f"after `systemctl {verb} mosquitto`"


def _open(folder: Path) -> Site:
    from edgekernel.mqtt.site import Site

    return Site(folder)


@contextmanager
def _refusals() -> Iterator[None]:
    """Tell what is wrong, in a line each, and exit with 1."""
    try:
        yield
    except ConfigError as error:
        fail(Exit.REFUSED, [text.replace("mqtt.dialect", "--dialect") for text in error.problems])
    except (EdgekernelError, ImportError) as error:
        fail(Exit.REFUSED, [str(error)])
    except OSError as error:
        fail(Exit.REFUSED, [f"{error.filename}: {error.strerror}"])
