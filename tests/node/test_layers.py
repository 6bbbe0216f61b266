"""What the environment and the credentials of the service say in the place of the node file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.node.layers import CREDENTIALS, ENVIRONMENT, layered
from edgekernel.node.plan import make_plan

FILE: dict[str, Any] = {
    "node": {"name": "n1", "board": "sim"},
    "mqtt": {"host": "h", "password": "hush", "username": "u"},
}


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    """Give a credentials directory with a password and a key."""
    for name in ("mqtt-password", "mqtt-key"):
        (tmp_path / name).write_text("x")
    return tmp_path


def test_nothing_is_read_unless_it_is_asked_for() -> None:
    """Without an environment a document is as it stands."""
    assert layered(FILE, None).document is FILE
    assert layered(FILE, {}).document == FILE
    assert layered(FILE, {}).origins == {}


def test_the_order(credentials: Path) -> None:
    """The environment counts more than a credential, and that more than the file."""
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    found = layered(FILE, environ)
    assert found.document["mqtt"] == {
        "host": "h",
        "username": "u",
        "password_file": str(credentials / "mqtt-password"),
        "tls": {"key": str(credentials / "mqtt-key")},
    }
    assert found.origins == {
        "mqtt.password_file": "credential mqtt-password",
        "mqtt.tls.key": "credential mqtt-key",
    }
    more = layered(FILE, environ | {"EDGEKERNEL_MQTT_PASSWORD_FILE": "p"})
    assert more.document["mqtt"]["password_file"] == "p"
    assert more.origins["mqtt.password_file"] == "EDGEKERNEL_MQTT_PASSWORD_FILE"
    assert FILE["mqtt"]["password"] == "hush"  # the file itself is left alone


def test_every_variable() -> None:
    """Each variable takes the place of its key, also of one that is not in the file."""
    for name, path in ENVIRONMENT.items():
        found: Any = layered({}, {name: "7"})
        assert found.document == {path[0]: {path[1]: 7 if path[1] == "port" else "7"}}
        assert found.origins == {".".join(path): name}
        assert layered({}, {name: ""}).document == {}


def test_a_host_instead_of_several_brokers() -> None:
    """A host from the environment is the only broker."""
    document = {"mqtt": {"brokers": [{"host": "a"}, {"host": "b"}]}}
    found = layered(document, {"EDGEKERNEL_MQTT_HOST": "c"})
    assert found.document == {"mqtt": {"host": "c"}}


def test_credentials_make_no_link(credentials: Path) -> None:
    """A node without [mqtt] has none because there is a password for it."""
    found = layered({"node": {}}, {"CREDENTIALS_DIRECTORY": str(credentials)})
    assert found.document == {"node": {}}


def test_tls_that_is_only_on(credentials: Path) -> None:
    """Credentials make a table of `tls = true`."""
    document = {"mqtt": {"tls": True}}
    found = layered(document, {"CREDENTIALS_DIRECTORY": str(credentials)})
    assert found.document["mqtt"]["tls"] == {"key": str(credentials / "mqtt-key")}


def test_a_mistake_names_the_layer(tmp_path: Path) -> None:
    """What is wrong in a variable is told of that, and not of the file."""
    path = tmp_path / "node.toml"
    path.write_text('[node]\nname = "n1"\nboard = "sim"\n')
    with pytest.raises(ConfigError, match=r"EDGEKERNEL_NODE_NAME \(node.name\): "):
        make_plan(path, {"EDGEKERNEL_NODE_NAME": "No Name"})
    with pytest.raises(ConfigError, match="EDGEKERNEL_MQTT_PORT: 'x' is no port"):
        make_plan(path, {"EDGEKERNEL_MQTT_PORT": "x"})
    assert make_plan(path, {"EDGEKERNEL_NODE_NAME": "n2"}).name == "n2"


def test_the_page_has_all_of_them() -> None:
    """docs/configuration.md names every variable with its key, and every credential."""
    page = (Path(__file__).parents[2] / "docs/configuration.md").read_text("utf-8")
    for name, path in ENVIRONMENT.items():
        assert f"| `{name}` | `{'.'.join(path)}` |" in page
    assert all(f"`{name}`" in page for name in CREDENTIALS)


def test_credentials_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of credentials that is closed is a mistake with its place, not a crash."""

    def closed(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", closed)
    with pytest.raises(ConfigError, match=r"\$CREDENTIALS_DIRECTORY: .*mqtt-password: cannot be"):
        layered({"mqtt": {"host": "b"}}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
