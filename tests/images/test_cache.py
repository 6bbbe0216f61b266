"""The cache of the image's build: what was made of the same is not made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.build.cache import Cache, key_of


def test_made_once(tmp_path: Path) -> None:
    """The same key is made once; another one takes its place."""

    def one(new: Path) -> None:
        new.write_text("one")

    cache = Cache(tmp_path)
    first, cached = cache.get("slot", "1", one)
    assert (first.read_text(), cached) == ("one", False)
    again, cached = cache.get("slot", "1", lambda new: pytest.fail("it is there"))
    assert (again, cached) == (first, True)
    other, _ = cache.get("slot", "2", lambda new: new.mkdir())
    assert [each.name for each in tmp_path.iterdir()] == [other.name]


def test_all_or_nothing(tmp_path: Path) -> None:
    """What fails on the way leaves nothing that would be taken for a result."""

    def fail(new: Path) -> None:
        new.mkdir()
        raise OSError("no space")

    cache = Cache(tmp_path)
    with pytest.raises(OSError, match="no space"):
        cache.get("slot", "1", fail)
    made, cached = cache.get("slot", "1", lambda new: new.mkdir())
    assert (cached, list(made.iterdir())) == (False, [])


def test_keys(tmp_path: Path) -> None:
    """A key is that of names, content and modes, and of nothing else, such as times."""
    (tmp_path / "a").write_text("1")
    before = key_of("x", tmp_path)
    (tmp_path / "a").write_text("1")
    assert key_of("x", tmp_path) == before
    keys = {before, key_of("y", tmp_path)}
    (tmp_path / "a").chmod(0o755)
    keys.add(key_of("x", tmp_path))
    (tmp_path / "a").write_text("2")
    keys.add(key_of("x", tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    keys.add(key_of("x", tmp_path))
    assert len(keys) == 5
