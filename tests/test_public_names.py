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
    "edgekernel.hal",
    "edgekernel.mqtt",
    "edgekernel.node",
    "edgekernel.sim",
]

# Each is loaded when it is first needed: on the smallest boards an import takes about twenty times
# as long as on a server.
FORBIDDEN = {
    "asyncio",
    "click",
    "dataclasses",
    "difflib",
    "gpiozero",
    "greenlet",
    "importlib.metadata",
    "inspect",
    "logging",
    "paho",
    "pydantic",
    "pynmeagps",
    "rich",
    "serial",
    "smbus2",
    "sqlite3",
    "ssl",
    "traceback",
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


def test_import_is_small() -> None:
    """`import edgekernel` loads none of the modules that cost a small board much."""
    code = "import sys, edgekernel; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & FORBIDDEN
