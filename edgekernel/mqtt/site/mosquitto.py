"""mosquitto's configuration for a site: two listeners, both with TLS, and nobody anonymous.

Nodes come with a certificate to one port, people and programs with user name and password to the
other. A node's client id is its name, whatever it says, so that no node can throw another one off;
people may be connected more than once.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from pathlib import Path

NODE_PORT = 8883
USER_PORT = 8884

_ROUNDS = 210_000
"""Of PBKDF2-HMAC-SHA512: OWASP's password storage cheat sheet."""

_CONF = """\
# Written by `edgekernel broker init`. What you add goes into a file of its own.

allow_anonymous false
{access}

# Without it two small packets in a row wait 44 ms for each other's acknowledgement.
set_tcp_nodelay true

# Nodes: the name in the certificate is the user name and the client id.
listener {node_port}
cafile {folder}/ca.crt
certfile {folder}/server.crt
keyfile {folder}/server.key
crlfile {folder}/revoked.crl
require_certificate true
use_identity_as_username true
use_username_as_clientid true
tls_version tlsv1.2

# People and programs: user name and password.
listener {user_port}
certfile {folder}/server.crt
keyfile {folder}/server.key
tls_version tlsv1.2

# What is retained or queued outlives a crash of the broker but for the last half minute.
persistence true
persistence_location {data}/
autosave_interval 30
persistent_client_expiration 30d

# Nobody fills the memory.
max_packet_size 262144
max_queued_messages 10000
max_queued_bytes 16777216
max_connections {connections}

log_type error
log_type warning
log_type notice
connection_messages true
"""


_ACCESS_2_0 = """\
per_listener_settings false
acl_file {folder}/acl
password_file {folder}/passwords"""

# Source: mosquitto's documentation of its plugins acl-file and password-file, and ChangeLog of 2.1.
_ACCESS_2_1 = """\
global_plugin {plugins}/mosquitto_acl_file.so
plugin_opt_acl_file {folder}/acl
global_plugin {plugins}/mosquitto_password_file.so
plugin_opt_password_file {folder}/passwords"""


def configuration(
    folder: Path,
    data: Path,
    node_port: int,
    user_port: int,
    connections: int = 10_000,
    plugins: str = "",
) -> str:
    """Return the configuration of a broker with its files in `folder` and its memory in `data`.

    It is for mosquitto 2.0; 2.1 reads it with warnings. With the folder of its `plugins` it is for
    2.1, which has them for the access list and the passwords; 2.0 does not read that.
    """
    access = (_ACCESS_2_1 if plugins else _ACCESS_2_0).format(folder=folder, plugins=plugins)
    return _CONF.format(
        access=access,
        folder=folder,
        data=data,
        node_port=node_port,
        user_port=user_port,
        connections=connections,
    )


def password_line(user: str, password: str, rounds: int = _ROUNDS) -> str:
    """Return a line of mosquitto's password file: PBKDF2-HMAC-SHA512, its format $7$."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    salt64, digest64 = base64.b64encode(salt).decode(), base64.b64encode(digest).decode()
    return f"{user}:$7${rounds}${salt64}${digest64}"
