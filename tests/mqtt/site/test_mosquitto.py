"""The configuration of mosquitto, in the dialect of each version."""

from __future__ import annotations

from pathlib import Path

from edgekernel.mqtt.site.mosquitto import configuration

_AT = (Path("/site/broker"), Path("/site/broker/data"), 8883, 8884)


def settings(plugins: str) -> list[str]:
    """Return the lines that set something."""
    lines = configuration(*_AT, plugins=plugins).splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_access_by_files() -> None:
    """For 2.0 the access list and the passwords are options of mosquitto itself."""
    assert settings("")[:4] == [
        "allow_anonymous false",
        "per_listener_settings false",
        "acl_file /site/broker/acl",
        "password_file /site/broker/passwords",
    ]


def test_access_by_plugins() -> None:
    """For 2.1 each is a plugin of all listeners, with its option right behind it, and nothing that
    2.1 calls old is left."""
    found = settings("/usr/lib")
    assert found[:5] == [
        "allow_anonymous false",
        "global_plugin /usr/lib/mosquitto_acl_file.so",
        "plugin_opt_acl_file /site/broker/acl",
        "global_plugin /usr/lib/mosquitto_password_file.so",
        "plugin_opt_password_file /site/broker/passwords",
    ]
    assert {line.split()[0] for line in found}.isdisjoint(
        {"per_listener_settings", "acl_file", "password_file"}
    )


def test_nothing_waits_and_little_is_lost() -> None:
    """Small packets are sent at once, and what is retained is on the disk half a minute later."""
    found = settings("")
    for line in (
        "set_tcp_nodelay true",
        "persistence true",
        "persistence_location /site/broker/data/",
        "autosave_interval 30",
    ):
        assert found.count(line) == 1, line
    assert found.index("set_tcp_nodelay true") < found.index("listener 8883")


def test_all_else_is_the_same() -> None:
    """Listeners, certificates and limits do not depend on the version."""
    old, new = settings(""), settings("/usr/lib")
    assert old[4:] == new[5:]
    assert [line for line in old if line.startswith("listener")] == [
        "listener 8883",
        "listener 8884",
    ]
