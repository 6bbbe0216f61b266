"""The plugin loader: components in files, loaded and followed as they change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekernel import Context, Event, PluginLoader, Process, Runtime, message
from edgekernel.core.errors import ConfigError
from edgekernel.sim import SimClock

VOICE = """
from edgekernel import component, provides, lifecycle

@component("voice")
class Voice:
    says = {says!r}

    def __init__(self):
        self.asked = 0

    @lifecycle.activate
    def activate(self):
        if self.says == "nothing":
            raise ValueError("no voice")
"""


class Problems(Process):
    """Notes what the loader complains about."""

    name = "problems"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def handle_event(self, ctx: Context, evt: Event) -> None:
        if isinstance(evt.payload, message.PluginFailed):
            self.seen.append(evt.payload.error)


class Bench:
    """A runtime on simulated time that follows a directory."""

    def __init__(self, directory: Path) -> None:
        self.clock = SimClock()
        self.directory = directory
        self.problems = Problems()
        self.runtime = Runtime(clock=self.clock)
        self.runtime.register(self.problems)
        self.runtime.register(PluginLoader(directory))

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)
        self.clock.advance(10)

    def voice(self) -> Any:
        return self.runtime.registry.find(object, id="voice")

    def status(self) -> Any:
        return self.runtime.invoke("plugins.status")


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    made = Bench(tmp_path)
    (tmp_path / "voice.py").write_text(VOICE.format(says="hello"))
    (tmp_path / "_not_this.py").write_text("raise ValueError")
    made.runtime.boot()
    made.clock.advance(1)
    yield made
    made.runtime.shutdown()


def test_new_files_are_loaded(bench: Bench) -> None:
    """The components of every file are added; files with an underscore are not looked at."""
    assert bench.voice().says == "hello"
    assert bench.status() == {"voice.py": {"components": ["voice"], "problem": ""}}


def test_only_what_changed_is_loaded_again(bench: Bench) -> None:
    """A file with the same contents is left alone; a changed one replaces its component."""
    first = bench.voice()
    first.asked = 3
    bench.write("voice.py", VOICE.format(says="hello"))
    assert bench.voice() is first
    bench.write("voice.py", VOICE.format(says="good morning"))
    assert bench.voice() is not first
    assert (bench.voice().says, bench.voice().asked) == ("good morning", 3)


def test_a_removed_file_takes_its_components_along(bench: Bench) -> None:
    """What a file has brought goes with it, and with its class."""
    (bench.directory / "voice.py").unlink()
    bench.clock.advance(10)
    assert bench.voice() is None
    assert bench.status() == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("def broken(:", "SyntaxError: "),
        ("raise KeyError('no')", "KeyError: 'no'"),
        (VOICE.format(says="nothing"), "ValueError: no voice"),
    ],
)
def test_a_bad_file_leaves_the_old_version_at_work(bench: Bench, text: str, problem: str) -> None:
    """What cannot be loaded or started changes nothing, is reported once, and can be mended."""
    first = bench.voice()
    bench.write("voice.py", text)
    bench.clock.advance(60)
    assert bench.voice() is first
    assert len(bench.problems.seen) == 1
    assert bench.problems.seen[0].startswith(problem)
    assert bench.status()["voice.py"]["problem"].startswith(problem)
    bench.write("voice.py", VOICE.format(says="again"))
    assert bench.voice().says == "again"
    assert bench.status()["voice.py"]["problem"] == ""


def test_one_that_everybody_can_write_to_is_refused(bench: Bench) -> None:
    """P11: code that any user of the machine could have put there is not run."""
    path = bench.directory / "door.py"
    path.write_text("raise SystemExit")
    path.chmod(0o666)
    bench.clock.advance(10)
    assert bench.status()["door.py"]["problem"] == (
        f"ConfigError: {path} can be written to by everybody: chmod o-w {path}"
    )


def test_a_reload_looks_at_once(bench: Bench) -> None:
    """SIGHUP (the message SystemReload) does not wait for the next tick."""
    (bench.directory / "voice.py").write_text(VOICE.format(says="now"))
    bench.runtime.emit(message.SystemReload())
    bench.clock.advance(0.001)
    assert bench.voice().says == "now"


def test_no_directory(tmp_path: Path) -> None:
    """A directory that is not there is an error that names it."""
    with pytest.raises(ConfigError, match=f"there is no directory {tmp_path / 'missing'}"):
        PluginLoader(tmp_path / "missing")
