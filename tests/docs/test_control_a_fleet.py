"""docs/howto/control-a-fleet.md tells the truth: its commands and its program are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgekernel.mqtt import Fleet
from tests.brokers import HOST, Mosquitto, watching
from tests.cli.conftest import Agent

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/control-a-fleet.md").read_text(encoding="utf-8")
PROGRAM = "from edgekernel.cli import main; main(prog_name='edgekernel')"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run the page's node, which is the greenhouse with labels, on a simulated board; give the
    port of its broker."""
    folder = tmp_path_factory.mktemp("greenhouse")
    shutil.copytree(ROOT / "examples/greenhouse", folder, dirs_exist_ok=True)
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    with ExitStack() as stack:
        broker.start()
        stack.callback(broker.stop)
        (head,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
        text = (folder / "node.toml").read_text("utf-8")
        rest = text[text.index("[devices.heater]") :]
        rest = re.sub(r"\[mqtt\]\n.*?\n(?=\[|\Z)", "", rest, flags=re.DOTALL)
        path = folder / "node.toml"
        path.write_text(f'{head}\n{rest}\n[mqtt]\nhost = "{HOST}"\nport = {broker.port}\n')
        watcher = stack.enter_context(watching(broker.port, "edge/greenhouse-1/health"))
        agent = Agent("run", path, "--sim", "--json")
        stack.callback(agent.close)
        agent.until("mqtt.connected")
        watcher.wait_for(lambda r: True, "a health")
        yield broker.port


def run(port: int, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the broker in the environment."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "EDGEKERNEL_PORT": str(port), "COLUMNS": "200", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def lines() -> list[tuple[str, list[str]]]:
    """Return each command of the page with what it prints, if that stands there."""
    found = []
    for block in re.findall(r"```\n(\$ .*?)```", PAGE, re.DOTALL):
        for part in block.split("$ edgekernel ")[1:]:
            line, *said = part.strip().splitlines()
            found.append((line, said))
    return found


@pytest.mark.parametrize(("line", "said"), lines(), ids=[line for line, _ in lines()])
def test_the_commands(port: int, line: str, said: list[str]) -> None:
    """Each ends as the page says: what it prints stands there, or it is done."""
    done = run(port, "-c", PROGRAM, *line.split())
    if said:
        assert (done.returncode, done.stderr.splitlines()) == (1, said)
    else:
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_the_program(port: int) -> None:
    """The page's program does what it says."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = run(port, "-c", program.replace('"broker.local"', f'"{HOST}", port={port}'))
    assert (done.returncode, done.stderr) == (0, "")
    first, measured, outcome, *_ = done.stdout.splitlines()
    assert first == "greenhouse-1 online {'zone': 'north', 'crop': 'tomato'}"
    assert measured.endswith(" good")
    assert outcome == "greenhouse-1 done"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion(shell: str) -> None:
    """Each shell gets its script by the variable of the page."""
    assert f"_EDGEKERNEL_COMPLETE={shell}_source edgekernel" in PAGE
    script = run(0, "-c", PROGRAM, _EDGEKERNEL_COMPLETE=f"{shell}_source").stdout
    assert f"_EDGEKERNEL_COMPLETE={shell}_complete" in script


def test_every_name_of_the_page_exists() -> None:
    """The table names the methods of Fleet, all of them and none that is not there."""
    table = PAGE.split("| `ctl` | `Fleet` |")[1].split("\n\n")[0]
    named = {
        name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[2])
    }
    assert named - {"least", "share"} == {name for name in vars(Fleet) if not name.startswith("_")}
