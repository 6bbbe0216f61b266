"""The systemd unit of a node, judged by systemd itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.node import make_plan
from edgekernel.node.unit import Unit

NodeFile = Callable[..., Path]

RELAY = '[devices.pump]\ndriver = "relay"\npin = "GPIO17"\n'
ROOM = '[devices.room]\ndriver = "bme280"\nbus = "i2c1"\n'
METER = '[devices.meter]\ndriver = "mcp3008"\nselect = "spi0.0"\n'
LINE = '[devices.line]\ndriver = "modbus_rtu"\nport = "{port}"\n'
PWM = '[devices.fan]\ndriver = "pwm_output"\npin = "GPIO18"\n'
REMOTE = 'data = "/srv/data"\n[mqtt]\nhost = "b"\nremote_config = {}\n'
PROGRAM, PYTHON = Path("/usr/bin/env"), Path("/usr/bin/python3")
NODE = Path("/etc/edgekernel/node.toml")


@pytest.fixture
def unit(node_file: NodeFile) -> Callable[[str], Unit]:
    """Give a function that makes the unit of a node file's text."""

    def make(text: str) -> Unit:
        plan = make_plan(node_file(text, board="raspberrypi/4b"))
        return Unit(plan, PROGRAM, PYTHON, NODE)

    return make


MakeUnit = Callable[[str], Unit]


def written(unit: Unit, folder: Path) -> list[Path]:
    """Write the units where systemd-analyze looks."""
    agent, standby = folder / "edgekernel.service", folder / "edgekernel-standby.service"
    agent.write_text(unit.service)
    standby.write_text(unit.standby_service)
    return [agent, standby]


@pytest.mark.parametrize(
    "text",
    [
        RELAY,
        ROOM + METER + RELAY,
        LINE.format(port="/dev/ttyUSB0"),
        LINE.format(port="/dev/serial/by-id/usb-x"),
        PWM,
        REMOTE.format("true"),
    ],
    ids=["gpio", "three-buses", "usb", "by-id", "pwm", "from-afar"],
)
def test_systemd_judges(unit: MakeUnit, tmp_path: Path, text: str) -> None:
    """systemd finds no mistake in the units of agent and standby, and an exposure of 2.0 at most
    in each."""
    files = [str(file) for file in written(unit(text), tmp_path)]
    for check in (
        ["systemd-analyze", "verify", *files],
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", *files],
    ):
        done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ".service:" not in done.stderr, done.stderr


def test_only_what_it_needs(unit: MakeUnit) -> None:
    """A node gets at the devices that it has, and at no others."""
    made = unit(RELAY)
    assert made.groups == ("gpio",)
    assert made.modules == ()
    assert "DeviceAllow=char-gpiochip rw\n" in made.service
    assert "char-i2c" not in made.service
    all_of_them = unit(RELAY + ROOM + METER + LINE.format(port="/dev/ttyACM0"))
    assert all_of_them.groups == ("dialout", "gpio", "i2c", "spi")
    assert all_of_them.modules == ("cdc-acm", "i2c-dev", "spidev")
    for name in ("char-gpiochip", "char-i2c", "char-spi", "char-ttyACM"):
        assert f"DeviceAllow={name} rw\n" in all_of_them.service


@pytest.mark.parametrize("port", ["/dev/ttyAML1", "/dev/serial0", "/dev/serial/by-id/usb-x"])
def test_other_ports(unit: MakeUnit, port: str) -> None:
    """A port whose class its name does not tell, or that only one maker has, is let in; virtual
    consoles are not meant by that."""
    lines = unit(LINE.format(port=port)).service.splitlines()
    allowed = [line.split("=")[1].split()[0] for line in lines if line.startswith("DeviceAllow=")]
    for kind in ("ttyS", "ttyAMA", "ttyUSB", "ttyACM", "ttyAML", "ttymxc"):
        assert any(fnmatch(f"char-{kind}", each) for each in allowed), kind
    assert not any(fnmatch("char-tty", each) for each in allowed)


def test_from_afar(unit: MakeUnit) -> None:
    """A node that takes a configuration from afar gets at whatever that may say, as does its
    standby: the same as one that has a device of each class, though its file has none."""
    made = unit(REMOTE.format("true"))
    devices = RELAY + ROOM + METER + PWM + LINE.format(port="/dev/serial/by-id/usb-x")
    every = unit(REMOTE.format("false") + devices)
    assert made.groups == ("dialout", "gpio", "i2c", "spi")
    for what in ("groups", "modules", "rules", "users", "service", "standby_service"):
        assert getattr(made, what) == getattr(every, what), what
    closed = unit(REMOTE.format("false"))
    assert (closed.groups, closed.modules) == ((), ())
    assert "DeviceAllow" not in closed.service


def test_lgpio(unit: MakeUnit) -> None:
    """lgpio finds a folder for its pipe that its process may write, each a folder of its own."""
    made = unit(RELAY)
    for text, name in (
        (made.service, "edgekernel"),
        (made.standby_service, "edgekernel-standby"),
    ):
        assert f"\nRuntimeDirectory={name}\n" in text
        assert f"\nEnvironment=LG_WD=/run/{name} " in text


def test_safe_after_every_end(unit: MakeUnit) -> None:
    """P8: the outputs are made safe after every end, and nothing limits how often it starts."""
    text = unit(RELAY).service
    assert f"ExecStopPost={PROGRAM} safe-state {NODE}\n" in text
    assert "Restart=always\n" in text
    assert "StartLimitIntervalSec=0\n" in text


def test_standby(unit: MakeUnit, node_file: NodeFile) -> None:
    """P8: a standby runs beside the agent and is ended after it, both find the same socket, and it
    gets at the same devices; but it has no secret of the node."""
    mqtt = '[mqtt]\nhost = "b"\nusername = "u"\npassword_file = "/pw"\n'
    made = unit(mqtt + RELAY)
    for line in ("After=edgekernel-standby.service\n", "Wants=edgekernel-standby.service\n"):
        assert line in made.service
    assert f"ExecStart={PROGRAM} standby {NODE}\n" in made.standby_service
    assert "PartOf=edgekernel.service\n" in made.standby_service
    for text in (made.service, made.standby_service):
        assert " EDGEKERNEL_STANDBY=/run/edgekernel-standby/socket\n" in text
        assert "DeviceAllow=char-gpiochip rw\n" in text
    assert "LoadCredential" not in made.standby_service
    without = Unit(made.plan, PROGRAM, PYTHON, NODE, has_standby=False)
    assert "standby" not in without.service.lower()


def test_hardware_pwm(unit: MakeUnit) -> None:
    """Timers of the hardware are files of /sys, which only a node that has some may write."""
    assert "ProtectKernelTunables=no\n" in unit(PWM).service
    assert "ProtectKernelTunables=yes\n" in unit(RELAY).service


def test_folders(node_file: NodeFile, tmp_path: Path) -> None:
    """The folders that the node file names may be written, those of the service need no word."""
    text = (
        '[node]\nname = "bench"\nboard = "sim"\ndata = "{data}"\n[journal]\nfolder = "{journal}"\n'
    )
    path = tmp_path / "node.toml"
    path.write_text(text.format(data="/srv/data", journal="records"))
    made = Unit(make_plan(path), PROGRAM, PYTHON, NODE)
    assert set(made.writes) == {tmp_path / "records", Path("/srv/data")}
    path.write_text(text.format(data="/var/lib/edgekernel", journal="/var/lib/edgekernel/j"))
    made = Unit(make_plan(path), PROGRAM, PYTHON, NODE)
    assert made.writes == ()


def test_secrets(node_file: NodeFile, tmp_path: Path) -> None:
    """Password and key are read by root, and are the agent's as credentials; what is no file of its
    own is none."""
    text = '[mqtt]\nhost = "b"\nusername = "u"\npassword_file = "pw"\n[mqtt.tls]\nkey = "/k.pem"\n'
    text += 'certificate = "c.pem"\n'
    unit = Unit(make_plan(node_file(text)), PROGRAM, PYTHON, NODE)
    loaded = [line for line in unit.service.splitlines() if line.startswith("LoadCredential=")]
    assert loaded == [
        f"LoadCredential=mqtt-password:{tmp_path}/pw",
        f"LoadCredential=mqtt-certificate:{tmp_path}/c.pem",
        "LoadCredential=mqtt-key:/k.pem",
    ]
    assert "LoadCredential" not in Unit(make_plan(node_file(RELAY)), PROGRAM, PYTHON, NODE).service


@pytest.mark.parametrize("path", ["/tmp/node.toml", "/var/tmp/x/node.toml"])
def test_a_file_that_it_does_not_see(node_file: NodeFile, path: str) -> None:
    """A node file in /tmp is refused: the service has a /tmp of its own."""
    with pytest.raises(ConfigError, match="move it"):
        Unit(make_plan(node_file(RELAY)), PROGRAM, PYTHON, Path(path))


def test_a_path_with_blanks(node_file: NodeFile) -> None:
    """Paths are quoted for systemd."""
    node = Path('/etc/my "node"/100%/node.toml')
    text = Unit(make_plan(node_file(RELAY)), PROGRAM, PYTHON, node).service
    assert r'run "/etc/my \"node\"/100%%/node.toml"' in text
