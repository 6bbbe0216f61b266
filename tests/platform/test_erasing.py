"""Files are removed so that their content is gone too."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.platform import erasing
from edgekernel.platform.erasing import erase, is_being_erased


def test_overwritten_in_place(tmp_path: Path) -> None:
    """The blocks that a file had hold zeros, all of them, also of one that is longer than what is
    written at once."""
    path = tmp_path / "secret"
    path.write_bytes(b"x" * (2**20 + 7))
    with path.open("rb") as file:
        erase(tmp_path, [path])
        assert file.read() == bytes(2**20 + 7)
    assert list(tmp_path.iterdir()) == []


def test_no_half_overwritten_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it is interrupted, no file has its name and another content; the next call finishes it,
    in folders too, and leaves all else."""
    (tmp_path / "tls").mkdir()
    paths = [tmp_path / "tls" / "key", tmp_path / "password"]
    for path in (*paths, tmp_path / "other"):
        path.write_text(path.name)

    def cut(path: Path) -> None:
        raise OSError(5, path.name)

    with monkeypatch.context() as patched:
        patched.setattr(erasing, "overwrite", cut)
        with pytest.raises(OSError, match=r"\.erase-"):
            erase(tmp_path, paths)
    left = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert [each.name for each in left if not is_being_erased(each)] == ["other"]
    assert len(left) == 3
    erase(tmp_path)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [tmp_path / "other"]


def test_no_folder(tmp_path: Path) -> None:
    """Where there is no card, there is nothing to erase."""
    erase(tmp_path / "none")


def test_what_an_earlier_call_has_left_is_overwritten(tmp_path: Path) -> None:
    """A file of a name that is being erased already does not take the other one's place."""
    left, path = tmp_path / ".erase-secret", tmp_path / "secret"
    left.write_text("old")
    path.write_text("new")
    with left.open() as old, path.open() as new:
        erase(tmp_path, [path])
        assert (old.read(), new.read()) == ("\0" * 3, "\0" * 3)
    assert list(tmp_path.iterdir()) == []
