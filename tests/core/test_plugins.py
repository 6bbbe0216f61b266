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


def test_what_is_no_plugin_harms_no_other(bench: Bench) -> None:
    """P3: hidden files, as editors make them, are not looked at; what cannot be read is reported
    once; the others are loaded."""
    (bench.directory / ".#b.py").symlink_to("nobody@nowhere:1")
    (bench.directory / "a.py").mkdir()
    bench.write("voice.py", VOICE.format(says="still here"))
    bench.clock.advance(60)
    assert bench.voice().says == "still here"
    assert sorted(bench.status()) == ["a.py", "voice.py"]
    assert len(bench.problems.seen) == 1
    assert bench.problems.seen[0].startswith("IsADirectoryError: ")
    assert bench.status()["a.py"]["problem"] == bench.problems.seen[0]


@pytest.mark.parametrize("error", ["SystemExit(2)", "KeyboardInterrupt()", "GeneratorExit()"])
def test_a_file_that_means_to_end_the_program(bench: Bench, error: str) -> None:
    """P3: it is a file that cannot be loaded, with a reason, and no end of the loader."""
    (bench.directory / "door.py").write_text(f"raise {error}")
    bench.write("voice.py", VOICE.format(says="still here"))
    assert bench.voice().says == "still here"
    assert bench.status()["door.py"]["problem"].startswith(error[:-3])
    assert bench.runtime.services.status("plugins")["restarts"] == 0


ASKING = """
from edgekernel import component, requires

@component("asking")
@requires(other="{contract}")
class Asking:
    version = 1
"""
ANSWERING = """
from edgekernel import component, provides

@component("answering")
@provides("{contract}")
class Answering:
    pass
"""


@pytest.mark.parametrize("later", [False, True])
def test_one_may_require_what_another_brings(bench: Bench, later: bool) -> None:
    """P5: whatever files are called, and whichever comes first, what they have finds together."""
    (bench.directory / "asking.py").write_text(ASKING.format(contract="IAnswer"))
    if later:
        bench.clock.advance(60)
        assert "IAnswer" in bench.status()["asking.py"]["problem"]
    bench.write("b.py", ANSWERING.format(contract="IAnswer"))
    assert bench.status()["asking.py"] == {"components": ["asking"], "problem": ""}
    assert len(bench.problems.seen) == later


def test_both_sides_of_a_contract_may_change(bench: Bench) -> None:
    """P12: a new version that requires what another file's new version provides is put in place."""
    (bench.directory / "asking.py").write_text(ASKING.format(contract="IAnswer"))
    bench.write("b.py", ANSWERING.format(contract="IAnswer"))
    (bench.directory / "asking.py").write_text(ASKING.format(contract="IReply"))
    bench.write("b.py", ANSWERING.format(contract='IAnswer", "IReply'))
    assert bench.status()["asking.py"]["problem"] == ""
    [needed] = bench.runtime.status()["components"]["asking"]["requires"].values()
    assert "IReply" in needed


def test_what_can_be_read_again_is_loaded(bench: Bench) -> None:
    """A file that could not be read for a while is loaded when it can, and its problem is over."""
    path = bench.directory / "voice.py"
    path.unlink()
    path.mkdir()
    bench.clock.advance(60)
    assert bench.status()["voice.py"]["problem"].startswith("IsADirectoryError: ")
    assert bench.voice().says == "hello"
    path.rmdir()
    bench.write("voice.py", VOICE.format(says="hello"))
    assert bench.status()["voice.py"] == {"components": ["voice"], "problem": ""}
