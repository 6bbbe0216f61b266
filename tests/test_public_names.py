"""What a user may touch: complete, sorted, documented, and cheap to import."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

PACKAGES = [
    "edgekernel",
    "edgekernel.backends.linux",
    "edgekernel.backends.sim",
    "edgekernel.core.filters",
    "edgekernel.hal",
    "edgekernel.journal",
    "edgekernel.mqtt",
    "edgekernel.mqtt.outbox",
    "edgekernel.node",
    "edgekernel.sim",
    "edgekernel.testing",
]

# Each is loaded when it is first needed: on the smallest boards an import takes about twenty times
# as long as on a server.
FORBIDDEN = {
    "asyncio",
    "click",
    "dataclasses",
    "datetime",
    "difflib",
    "gpiozero",
    "greenlet",
    "importlib.metadata",
    "inspect",
    "logging",
    "paho",
    "pydantic",
    "pynmeagps",
    "random",
    "rich",
    "serial",
    "signal",
    "smbus2",
    "sqlite3",
    "ssl",
    "traceback",
}

# A module of ours costs a small board about 5 ms, beside what it imports.
OURS_LATER = {
    f"edgekernel.core.{name}"
    for name in (
        "checking",
        "clockloop",
        "decoding",
        "delaying",
        "filter",
        "filters",
        "first_start",
        "handover",
        "plugins",
        "provenance",
        "replacement",
        "reporting",
        "runner",
        "shaping",
        "smoothing",
        "staleness",
        "supervised",
        "supervisor",
        "traits",
        "variants",
    )
}


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_sorted_complete_and_documented(package: str) -> None:
    """`__all__` is sorted, each name exists, and each class and function says what it is."""
    module = importlib.import_module(package)
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{package}.{name} has no docstring"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_name_is_left_out(package: str) -> None:
    """What a package imports for its users stands in its `__all__`."""
    module = importlib.import_module(package)
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public <= set(module.__all__)


def _run(code: str) -> list[str]:
    """Return the words that code prints in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_import_is_small() -> None:
    """`import edgekernel` loads none of the modules that cost a small board much."""
    assert not set(_run("import sys, edgekernel; print(*sys.modules)")) & FORBIDDEN


def test_what_few_need_is_loaded_later() -> None:
    """A program loads none of ours that only some programs need, not even to boot and stop."""
    life = "import sys, edgekernel as e; r = e.Runtime(); r.boot(); r.shutdown(); "
    assert not set(_run(life + "print(*sys.modules)")) & OURS_LATER


def test_stopping_loads_nothing() -> None:
    """What makes the outputs safe and stops the parts is there when the boot has ended."""
    code = """
import sys
from edgekernel import Device, Message, Process, Runtime, Service, on, output

class Button(Message):
    pressed: bool

class Lamp(Device):
    light = output(bool, safe=False)

    @light.drive
    def write(self, on): pass

class Switch(Process):
    name = "switch"

    @on(Button)
    def press(self, evt): pass

class Clock(Service):
    name = "clock"

    def tick(self, ctx): pass

runtime = Runtime()
runtime.attach_device(Lamp("lamp"))
runtime.register_process(Switch())
runtime.register_service(Clock())
runtime.boot()
runtime.devices["lamp"].light.set(True)
runtime.emit(Button(True))
before = set(sys.modules)
runtime.shutdown()
print(*set(sys.modules) - before)
"""
    assert _run(code) == []


@pytest.mark.parametrize("name", ["PluginLoader", "SignalRuntime", "ThreadedRuntime"])
def test_names_loaded_later_are_as_any_other(name: str) -> None:
    """A name whose module is loaded later can be imported, asked for, listed and starred."""
    code = "import sys, edgekernel; print({0!r} in vars(edgekernel), {0!r} in dir(edgekernel), {1})"
    asked = ["edgekernel.{0}.__name__", "__import__('edgekernel', fromlist=[{0!r}]).{0}.__name__"]
    for how in asked:
        assert _run(code.format(name, how.format(name))) == ["False", "True", name]
    assert _run(f"from edgekernel import {name}; print({name}.__name__)") == [name]
    assert _run(f"from edgekernel import *; print({name}.__name__)") == [name]


def test_filters_are_a_module_loaded_later() -> None:
    """`from edgekernel import filters` gives the module of the filters."""
    assert _run("from edgekernel import filters; print(filters.Median.__name__)") == ["Median"]
    assert _run("import edgekernel; print(edgekernel.filters.__name__)") == [
        "edgekernel.core.filters"
    ]


def test_a_name_that_is_none_is_refused() -> None:
    """`edgekernel` says that it has no such name, as any module does."""
    package = importlib.import_module("edgekernel")
    with pytest.raises(AttributeError, match="module 'edgekernel' has no attribute 'Runtimes'"):
        _ = package.Runtimes
