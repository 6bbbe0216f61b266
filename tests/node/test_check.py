"""`edgekernel check`: every kind of mistake in a node file is told in words that help."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main

BAD = Path(__file__).parent / "bad"
FAN = '[devices.fan]\ndriver = "relay"\npin = "GPIO17"\n'
GREENHOUSE = Path(__file__).parents[2] / "examples" / "greenhouse" / "node.toml"


def check(*args: str | Path) -> Result:
    """Run `edgekernel check` in this process."""
    return CliRunner().invoke(main, ["check", *map(str, args)])


def test_each_mistake_has_its_text() -> None:
    """Every bad node file has its expected text, and there is no text without one."""
    files, texts = ({p.stem for p in BAD.glob(f"*.{kind}")} for kind in ("toml", "txt"))
    assert files == texts


@pytest.mark.parametrize("name", sorted(p.stem for p in BAD.glob("*.toml")))
def test_mistake(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad node file is refused with exactly the lines that stand beside it, as text and as
    JSON, and each line begins with the name of the file."""
    monkeypatch.chdir(BAD)
    expected = Path(f"{name}.txt").read_text(encoding="utf-8")
    result = check(f"{name}.toml")
    assert (result.stderr, result.stdout, result.exit_code) == (expected, "", 1)
    assert all(line.startswith(f"{name}.toml: ") for line in expected.splitlines())
    result = check(f"{name}.toml", "--json")
    told = {"ok": False, "problems": expected.splitlines(), "warnings": []}
    assert json.loads(result.stdout) == told
    assert (result.stderr, result.exit_code) == ("", 1)


def test_good_node() -> None:
    """Of a good node file `check` shows where each device is, its safe state, and each bus."""
    result = check(GREENHOUSE)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "heater relay GPIO17 power = off" in lines
    assert "vent relay GPIO27 power = off" in lines
    assert "room bme280 i2c1 0x76 -" in lines
    assert "i2c1 at 100 kHz 0.21 % room 10 s 2.72 ms 18.6 ms 21.3 ms" in lines
    assert lines[-2] == "greenhouse-1: node.toml is right: 6 devices on Raspberry Pi 4 Model B"
    assert lines[-1].startswith("its application was loaded and not run: `edgekernel simulate ")


def test_good_node_as_json() -> None:
    """Of a good node file `check --json` says so with name and board."""
    result = check(GREENHOUSE, "--json")
    told = json.loads(result.stdout)
    (bus,) = told.pop("buses")
    assert told == {
        "ok": True,
        "name": "greenhouse-1",
        "board": "raspberrypi/4b",
        "problems": [],
        "warnings": [],
        "without_safe_value": [],
    }
    assert (bus["bus"], bus["speed_hz"], bus["unknown"]) == ("i2c1", 100_000, {})
    assert [each["device"] for each in bus["devices"]] == ["room"]
    assert result.exit_code == 0


def test_touches_no_hardware() -> None:
    """`check` of a node on a real board never loads what could touch its hardware."""
    program = f"""
import sys
from edgekernel.cli import main
try:
    main(["check", {str(GREENHOUSE)!r}])
except SystemExit as end:
    assert end.code == 0, end.code
real = ("edgekernel.backends.linux", "lgpio", "smbus2", "spidev")
print([name for name in sys.modules if name.startswith(real)])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that does not exist and a folder are each told as what they are."""
    result = check(tmp_path / "node.toml")
    assert result.stderr == f"{tmp_path}/node.toml: there is no such file\n"
    assert result.exit_code == 1
    result = check(tmp_path)
    assert result.stderr == f"{tmp_path}: this is a folder; name the file in it\n"
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x81\x82", "is no text in UTF-8: "),
        (b"\x00", "is not TOML: "),
        (b"n = 1" + b"0" * 5000, "is not TOML: "),
        (b"n = " + b"[" * 5000, "is not TOML: "),
        (b"", "node: is missing"),
    ],
    ids=["not UTF-8", "zero", "too many digits", "too deep", "empty"],
)
def test_file_that_cannot_be_read(tmp_path: Path, content: bytes, said: str) -> None:
    """A file with any bytes in it gives a sentence with its name, never a traceback."""
    path = tmp_path / "node.toml"
    path.write_bytes(content)
    result = check(path)
    assert result.exit_code == 1
    assert "node.toml: " in result.stderr
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_application_that_raises(node_file: Callable[..., Path]) -> None:
    """An application whose import or `setup` raises is named with file, line and error."""
    result = check(node_file("", app_name="broken", broken="\nimport no_such_library\n"))
    assert result.exit_code == 1
    assert result.stderr == (
        'node.toml: node.app: "broken": cannot be imported: ModuleNotFoundError: '
        "No module named 'no_such_library' (broken.py, line 2)\n"
    )
    result = check(
        node_file("", app_name="late", late="def setup(runtime):\n    runtime.no_such()\n")
    )
    assert result.exit_code == 1
    assert result.stderr == (
        'node.toml: node.app: setup of "late" failed: AttributeError: '
        "'Runtime' object has no attribute 'no_such' (late.py, line 2)\n"
    )


def test_secret_stays_secret(node_file: Callable[..., Path]) -> None:
    """A password in the node file is not repeated when something beside it is wrong."""
    result = check(node_file('[mqtt]\nhost = "h"\nusername = 7\npassword = "hush-hush"\n'))
    assert result.exit_code == 1
    assert "mqtt.username" in result.stderr
    assert "hush" not in result.output


@pytest.mark.parametrize(
    "text",
    [
        '[mqtt]\nhost = "h"\npassword = ["hush-hush"]\n',
        '[mqtt]\nhost = "h"\npassword = { text = "hush-hush" }\n',
        '[[mqtt]]\nhost = "h"\npassword = "hush-hush"\n',
        '[devices]\nfan = [{ api_token = "hush-hush" }]\n',
    ],
)
def test_wrong_secret_stays_secret(node_file: Callable[..., Path], text: str) -> None:
    """A secret of the wrong type, or in a place of the wrong type, is told but not shown."""
    result = check(node_file(text))
    assert result.exit_code == 1
    assert "is not allowed" in result.stderr
    assert "hush" not in result.output


def test_prefix_of_several_segments(node_file: Callable[..., Path]) -> None:
    """A prefix that topics can have is right in the node file."""
    mqtt = '[mqtt]\nhost = "h"\nprefix = "plant/line-1"\nkeepalive = "1s"\n'
    result = check(node_file(FAN + mqtt))
    assert (result.exit_code, result.stderr) == (0, "")


WARNED = """every = "2s"

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "40ms"

[sim]
"""
WARNINGS = [
    "node.toml: sim: has no effect: it says nothing; give it a world, or take it out",
    "node.toml: devices.fan.every: has no effect: relay does not measure by polling",
    "node.toml: devices.room.every: i2c1 is busy for more than half of the time: its devices "
    "need 0.53 s of each second: room 53 % (21.3 ms every 40 ms); poll less often",
]


def test_warnings(node_file: Callable[..., Path]) -> None:
    """What has no effect, or hardly fits, is listed beside a file that is right."""
    path = node_file(FAN + WARNED)
    result = check(path)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [f"warning: {text}" for text in WARNINGS]
    assert "node.toml is right" in result.stdout
    told = json.loads(check(path, "--json").stdout)
    assert (told["ok"], told["problems"], told["warnings"]) == (True, [], WARNINGS)


def test_strict(node_file: Callable[..., Path]) -> None:
    """With `--strict` a warning is a mistake."""
    path = node_file(FAN + WARNED)
    result = check(path, "--strict")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == WARNINGS
    told = json.loads(check(path, "--strict", "--json").stdout)
    assert told == {"ok": False, "problems": WARNINGS, "warnings": []}
    assert check(node_file(FAN), "--strict").exit_code == 0


def test_without_simulation() -> None:
    """Without the `sim` extra a file is checked all the same, and what is not proven is told."""
    program = f"""
import sys
sys.modules["greenlet"] = None
from edgekernel.cli import main
main(["check", {str(GREENHOUSE)!r}, *sys.argv[1:]])
"""
    for option, said in (
        ("", "bus load: not proven: that needs the package greenlet"),
        ("--json", '"buses": null'),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *option.split()],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert said in done.stdout


def test_command_without_topic(node_file: Callable[..., Path]) -> None:
    """A command whose name no topic can hold is told: it cannot be called over MQTT."""
    app = """
from edgekernel import Process, command

class Long(Process):
    name = "l" * 65

    @command
    def go(self) -> None: ...

def setup(runtime):
    runtime.register(Long())
"""
    path = node_file(FAN + '[mqtt]\nhost = "h"\n', app_name="long_app", long_app=app)
    result = check(path)
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: node.toml: mqtt: the command " + "l" * 65 + ".go")
    assert "cannot be called over MQTT" in result.stderr


def test_another_dialect(node_file: Callable[..., Path]) -> None:
    """A dialect's table is checked, what it does nothing with is told, and so is one that is not
    installed."""
    mqtt = '[mqtt]\nhost = "h"\nhistory = "60s"\ndialect = "homie"\n[mqtt.homie]\ndomain = "haus"\n'
    result = check(node_file(FAN + mqtt))
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: node.toml: mqtt.history: has no effect: the dialect homie does nothing with it\n"
    )
    result = check(node_file(FAN + mqtt.replace("domain", "domian")))
    assert (result.exit_code, result.stderr) == (
        1,
        "node.toml: mqtt.homie.domian: unknown key; did you mean 'domain'?\n",
    )
    result = check(node_file(FAN + mqtt.replace("homie", "homy")))
    assert (result.exit_code, result.stderr) == (
        1,
        "node.toml: mqtt.dialect: \"homy\" is not installed; did you mean 'homie'?\n",
    )


TAKEN = """
from edgekernel import Process


class Config(Process):
    name = "config"


def setup(runtime):
    runtime.register(Config())
"""


def test_a_name_that_every_node_has(node_file: Callable[..., Path]) -> None:
    """An application cannot call a part as one that `run` adds: that is found beforehand."""
    refused = check(node_file("", app_name="taken_app", taken_app=TAKEN))
    assert refused.exit_code == 1
    assert refused.output.startswith('node.toml: node.app: a part is called "config", as the')
