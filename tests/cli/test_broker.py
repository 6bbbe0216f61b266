"""`edgekernel broker` and `edgekernel node`: a site set up from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main


def invoke(*args: str, input: str | None = None) -> Result:
    """Run the command line in this process, on a wide terminal."""
    return CliRunner().invoke(main, args, env={"COLUMNS": "200"}, input=input)


@pytest.fixture
def site(tmp_path: Path) -> str:
    """The folder of a site that was made by the command."""
    folder = str(tmp_path / "site")
    result = invoke("broker", "init", folder, "--host", "broker.local", "--host", "192.168.1.2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "mosquitto -c" in result.stdout
    return folder


def test_a_node_is_enrolled(site: str) -> None:
    """Its folder is printed, with the files and the part of the node file that it needs."""
    result = invoke("node", "enroll", "greenhouse-1", "--site", site)
    assert result.exit_code == 0
    folder = Path(result.stdout.strip())
    assert sorted(p.name for p in folder.iterdir()) == [
        "ca.crt",
        "mqtt.toml",
        "node.crt",
        "node.key",
    ]
    assert 'host = "broker.local"\nport = 8883' in (folder / "mqtt.toml").read_text()


def test_a_password_is_shown_once(site: str) -> None:
    """One that was made goes to standard output, alone; one that was given is not shown."""
    made = invoke("broker", "user", "alice", "--role", "admin", "--site", site)
    assert made.exit_code == 0
    assert len(made.stdout.strip()) >= 22
    given = invoke(
        "broker", "user", "bob", "--password-file", "-", "--site", site, input="sesame\n"
    )
    assert (given.exit_code, given.stdout) == (0, "")
    empty = invoke("broker", "user", "eve", "--password-file", "-", "--site", site, input="\n")
    assert empty.exit_code == 1
    assert "is empty" in empty.stderr


def test_who_is_let_in(site: str) -> None:
    """For people a line each, for machines an object; neither shows a secret."""
    invoke("node", "enroll", "greenhouse-1", "--site", site)
    invoke("broker", "user", "alice", "--site", site)
    text = invoke("broker", "show", "--site", site)
    assert "edge/greenhouse-1/#" in text.stdout
    found = json.loads(invoke("broker", "show", "--site", site, "--json").stdout)
    assert (found["nodes"], found["users"]) == (["greenhouse-1"], {"alice": "operator"})
    assert "passwords" not in found


def test_who_is_shut_out(site: str) -> None:
    """A node that is revoked and a user that is removed are gone; twice is a mistake."""
    invoke("node", "enroll", "greenhouse-1", "--site", site)
    invoke("broker", "user", "alice", "--site", site)
    for command in (("node", "revoke", "greenhouse-1"), ("broker", "user", "alice", "--remove")):
        assert invoke(*command, "--site", site).exit_code == 0
        again = invoke(*command, "--site", site)
        assert again.exit_code == 1
        assert again.stderr.startswith("no ")
    assert json.loads(invoke("broker", "show", "--site", site, "--json").stdout)["nodes"] == []


def test_mistakes_are_told(site: str, tmp_path: Path) -> None:
    """A line each, and exit code 1; a site that is there stays as it is."""
    before = (Path(site) / "site.json").read_bytes()
    for args, text in (
        (("broker", "init", site, "--host", "a"), "is a site already"),
        (("broker", "init", str(tmp_path / "x"), "--host", "a b"), "is no host name"),
        (("node", "enroll", "a/b", "--site", site), "is not allowed"),
        (("node", "enroll", "a", "--days", "0", "--site", site), "days: 0 is not allowed"),
        (("node", "enroll", "a", "--site", str(tmp_path)), "is no site"),
    ):
        result = invoke(*args)
        assert result.exit_code == 1, args
        assert text in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert (Path(site) / "site.json").read_bytes() == before


def test_for_another_mosquitto(site: str, tmp_path: Path) -> None:
    """The configuration is written anew for a version, and nodes and users stay; plugins that are
    not there are told, and then nothing changes."""
    invoke("node", "enroll", "greenhouse-1", "--site", site)
    conf = Path(site) / "broker/mosquitto.conf"
    before = conf.read_text()
    missing = invoke("broker", "rewrite", "--plugins", str(tmp_path), "--site", site)
    assert (missing.exit_code, conf.read_text()) == (1, before)
    assert "needs its plugins mosquitto_acl_file.so" in missing.stderr
    for name in ("mosquitto_acl_file.so", "mosquitto_password_file.so"):
        (tmp_path / name).touch()
    options = ("--mosquitto", "2.1", "--plugins", str(tmp_path), "--site", site)
    done = invoke("broker", "rewrite", *options)
    assert (done.exit_code, done.stdout.strip()) == (0, str(conf))
    assert "for mosquitto 2.1" in done.stderr
    assert f"global_plugin {tmp_path}/mosquitto_acl_file.so" in conf.read_text()
    invoke("broker", "user", "alice", "--site", site)
    assert "global_plugin" in conf.read_text()
    assert invoke("broker", "rewrite", "--mosquitto", "2.0", "--site", site).exit_code == 0
    assert f"acl_file {Path(site).resolve()}/broker/acl" in conf.read_text()
    assert "greenhouse-1" in invoke("broker", "show", "--site", site).stdout


def test_made_for_a_mosquitto(tmp_path: Path) -> None:
    """`init` says for which version a site is, and makes none for plugins that are not there."""
    to = ("--host", "broker.local")
    old = invoke("broker", "init", str(tmp_path / "old"), *to, "--mosquitto", "2.0")
    assert "for mosquitto 2.0" in old.stdout
    new = invoke("broker", "init", str(tmp_path / "new"), *to, "--plugins", str(tmp_path))
    assert (new.exit_code, (tmp_path / "new").exists()) == (1, False)


def test_another_dialect(tmp_path: Path, site: str) -> None:
    """`init` and `rewrite` put the topics of a dialect into the access list; a name that is not
    installed is told by its option."""
    made = tmp_path / "other"
    assert invoke("broker", "init", str(made), "--host", "h", "--dialect", "homie").exit_code == 0
    assert invoke("broker", "rewrite", "--site", site, "--dialect", "homie").exit_code == 0
    for folder in (made, Path(site)):
        assert "pattern read homie/5/%u/+/+/set" in (folder / "broker/acl").read_text()
    wrong = invoke("broker", "rewrite", "--site", site, "--dialect", "homi")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("--dialect: \"homi\" is not installed; did you mean 'homie'?")


def test_a_broker_elsewhere(tmp_path: Path) -> None:
    """With --at the configuration is for a folder of another computer, for mosquitto 2.0 whatever
    is installed here, and every change says what is to be carried there."""
    folder = tmp_path / "site"
    at = ("--at", "/data/broker")
    made = invoke("broker", "init", str(folder), "--host", "localhost", *at)
    assert (made.exit_code, made.stderr) == (0, "")
    assert f"{folder}/broker, which is /data/broker there" in made.stdout
    assert "for mosquitto 2.0" in made.stdout
    carried = f"{folder}/broker has been carried to the broker, as /data/broker"
    for command in (
        ("broker", "user", "alice"), ("broker", "user", "alice", "--remove"), ("broker", "rewrite")
    ):  # fmt: skip
        done = invoke(*command, "--site", str(folder))
        assert (done.exit_code, carried in done.stderr) == (0, True)
    conf = (folder / "broker" / "mosquitto.conf").read_text()
    assert "persistence_location /data/broker/data/" in conf
    assert str(folder) not in conf
    moved = invoke("broker", "rewrite", "--at", "/srv/broker", "--site", str(folder))
    assert moved.exit_code == 0
    assert "keyfile /srv/broker/server.key" in (folder / "broker" / "mosquitto.conf").read_text()
    wrong = invoke("broker", "rewrite", "--at", "broker", "--site", str(folder))
    assert (wrong.exit_code, "'broker' is no full path" in wrong.stderr) == (1, True)
    new = invoke("broker", "init", str(tmp_path / "new"), "--host", "localhost", "--at", "broker")
    assert (new.exit_code, (tmp_path / "new").exists()) == (1, False)
