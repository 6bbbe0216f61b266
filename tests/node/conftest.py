"""What the tests of the node share: node files that are there for one test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def modules_are_forgotten() -> Iterator[None]:
    """Forget the applications that a test has loaded, and the folders they were found in."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        installed = file.startswith((sys.prefix, sys.base_prefix)) or not file
        if not installed and not name.startswith("edgekernel"):
            del sys.modules[name]  # a library that is loaded twice has each of its classes twice


@pytest.fixture
def node_file(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a node file and the modules beside it."""

    def write(text: str, board: str = "sim", app_name: str = "", **modules: str) -> Path:
        head = f'[node]\nname = "bench"\nboard = "{board}"\n'
        if app_name:
            head += f'app = "{app_name}"\n'
        path = tmp_path / "node.toml"
        path.write_text(head + text, encoding="utf-8")
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        return path

    return write
