"""`edgekernel schema`: what a node has, for people and machines, without running it."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.mqtt import Signer
from edgekernel.mqtt.keys import make_pair

GREENHOUSE = Path(__file__).parents[2] / "examples/greenhouse/node.toml"


def invoke(*args: str) -> Result:
    """Run the command line in this process, on a wide terminal."""
    return CliRunner().invoke(main, ("schema", *args), env={"COLUMNS": "200"})


def test_a_page_for_people() -> None:
    """Signals with unit and safe value, commands with arguments, messages with their moment."""
    result = invoke(str(GREENHOUSE))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "-40 to 85 °C" in result.stdout
    assert "climate.set_target  celsius" in result.stdout
    assert "heater.switched" in result.stdout


def test_json_for_machines() -> None:
    """An object with devices, commands and messages; what only a simulated node has is not in."""
    result = invoke(str(GREENHOUSE), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["devices"]["heater"]["outputs"]["power"]["safe"] is False
    assert list(found["commands"]) == ["climate"]


def test_a_wrong_node_file(tmp_path: Path) -> None:
    """Every mistake is told as `check` tells it, and the exit code is 1."""
    path = tmp_path / "node.toml"
    path.write_text('[node]\nname = "x"\nboard = "sim"\n[devices.a]\ndriver = "realy"\npin = "1"\n')
    result = invoke(str(path))
    assert result.exit_code == 1
    assert "did you mean 'relay'" in result.stderr


def test_on_what_requests_depend(tmp_path: Path) -> None:
    """Leases with what needs them, and whose signatures count with the keys' fingerprints."""
    make_pair("anna", tmp_path)
    path = tmp_path / "node.toml"
    path.write_text(
        '[node]\nname = "x"\nboard = "sim"\n[devices.fan]\ndriver = "relay"\npin = "GPIO17"\n'
        '[leases.hand]\ntimeout = "10s"\noutputs = ["fan.power"]\n[mqtt]\nhost = "b"\n'
        '[mqtt.signatures]\nrequired = true\nkeys = { anna = "anna.pem" }\n'
    )
    signer = Signer.read(tmp_path / "anna.key")
    found = json.loads(invoke(str(path), "--json").stdout)
    assert found["leases"] == {"hand": {"timeout_s": 10, "outputs": ["fan.power"], "commands": []}}
    assert found["signatures"] == {"required": True, "keys": {"anna": signer.fingerprint}}
    result = invoke(str(path))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "hand   10 s          fan.power" in result.stdout
    assert "only signed requests count, by these keys:" in result.stdout
    assert f"anna    {signer.fingerprint}" in result.stdout
