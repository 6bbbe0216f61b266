"""The folder of a broker on the card is taken, all or nothing; a wrong one is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.platform import broker_card, card_folder, durable, erasing
from edgekernel.platform.broker_card import BROKER_FILES, take_broker


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Give the folder on the card."""
    folder = tmp_path / "card"
    folder.mkdir()
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Give the place where the broker's files are kept, which is not there yet."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "broker"


def put(card: Path, site: str) -> None:
    """Put the files of a site's broker on the card."""
    (card / "broker").mkdir(exist_ok=True)
    for name in BROKER_FILES:
        (card / "broker" / name).write_text(f"{name} of {site}")


def check(folder: Path) -> None:
    """Refuse a folder that is not whole, or wrong."""
    texts = [(folder / name).read_text() for name in BROKER_FILES if (folder / name).is_file()]
    if len(texts) < len(BROKER_FILES) or any("wrong" in text for text in texts):
        raise ConfigError("broker/acl: it is wrong")


def site_of(folder: Path) -> str:
    """Return the one site that all files of a folder are of."""
    texts = [(folder / name).read_text() for name in BROKER_FILES]
    sites = {text.rpartition(" ")[2] for text in texts}
    assert len(sites) == 1
    return sites.pop()


def files(folder: Path) -> set[str]:
    """Return the names of all files below a folder."""
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}


def test_applied(card: Path, kept: Path) -> None:
    """A right one is kept for its owner alone and is gone from the card, with what a computer may
    have put beside its files."""
    assert take_broker(card, kept, check).outcome == "empty"
    put(card, "one")
    (card / "broker" / ".DS_Store").write_text("x")
    (card / "broker" / "data").mkdir()
    taken = take_broker(card, kept, check)
    assert (taken.outcome, taken.problems, site_of(kept)) == ("applied", (), "one")
    assert list(card.iterdir()) == []
    assert files(kept) == set(BROKER_FILES)
    assert [each.stat().st_mode & 0o077 for each in (kept, *kept.iterdir())] == [0] * 8
    assert take_broker(card, kept, check).outcome == "unchanged"


@pytest.mark.parametrize("left", [[], ["data"], [".DS_Store"]], ids=str)
def test_nothing_is_in_it(card: Path, kept: Path, left: list[str]) -> None:
    """A folder without a file of the broker's is as none, also if there is no broker yet."""
    (card / "broker").mkdir()
    for name in left:
        (card / "broker" / name).mkdir()
    assert take_broker(card, kept, check).outcome == "empty"
    assert not kept.exists()


def test_refused(card: Path, kept: Path) -> None:
    """A wrong one stays on the card with a file that says why, and the one before it goes on;
    mended, it is taken, and that file goes."""
    put(card, "one")
    take_broker(card, kept, check)
    put(card, "wrong")
    taken = take_broker(card, kept, check)
    assert (taken.outcome, taken.problems) == ("refused", ("broker/acl: it is wrong",))
    assert (site_of(kept), site_of(card / "broker")) == ("one", "wrong")
    assert "broker/acl: it is wrong" in (card / "BROKER-PROBLEMS.txt").read_text()
    assert [each.name for each in kept.parent.iterdir()] == ["broker"]
    put(card, "two")
    assert take_broker(card, kept, check).outcome == "applied"
    assert (site_of(kept), files(card)) == ("two", set())


@pytest.mark.parametrize(
    "name", ["authority/ca.key", "site.json", "ca.key", "broker/acl", "data/mosquitto.db"]
)
def test_files_of_others(
    card: Path, kept: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is none of the broker's, such as the authority's key, is told, and is not even
    copied; of a whole site it is said what of it belongs there."""
    put(card, "one")
    (card / "broker" / name).parent.mkdir(exist_ok=True)
    (card / "broker" / name).write_text("secret")
    monkeypatch.setattr(card_folder, "write_safely", lambda *_: pytest.fail("it was copied"))
    taken = take_broker(card, kept, lambda _: pytest.fail("it was looked at"))
    assert taken.outcome == "refused"
    assert f"broker/{name}: it is no file of the broker's" in taken.problems
    assert ("whole site" in taken.problems[-1]) is (name.endswith(("ca.key", "site.json")))
    assert "secret" not in (card / "BROKER-PROBLEMS.txt").read_text()
    assert not kept.exists()


class PowerCut(BaseException):
    """The power is gone."""


@pytest.mark.parametrize("call", range(1, 60))
def test_power_cut(card: Path, kept: Path, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power may go at every step: what counts then is the old or the new broker, whole, with
    the memory that it had, and the next start brings the new one and takes it off the card."""
    put(card, "one")
    take_broker(card, kept, check)
    (kept / "data").mkdir()
    (kept / "data" / "mosquitto.db").write_text("retained")
    put(card, "two")
    steps = 0

    def cut(original: object) -> object:
        def step(*args: object, **options: object) -> object:
            nonlocal steps
            steps += 1
            if steps == call:
                raise PowerCut
            assert callable(original)
            return original(*args, **options)

        return step

    with monkeypatch.context() as patched:
        for name in ("rename", "unlink", "mkdir"):
            patched.setattr(Path, name, cut(getattr(Path, name)))
        patched.setattr(shutil, "rmtree", cut(shutil.rmtree))
        for module in (broker_card, card_folder):
            for name in ("write_safely", "sync_folder"):
                patched.setattr(module, name, cut(getattr(durable, name)))
        patched.setattr(erasing, "sync_folder", cut(durable.sync_folder))
        patched.setattr(erasing, "overwrite", cut(erasing.overwrite))
        try:
            take_broker(card, kept, check)
        except PowerCut:
            pass
        else:
            assert 20 < steps < call  # all steps have been cut once
    if kept.exists():
        assert site_of(kept) in ("one", "two")
    take_broker(card, kept, check)
    assert site_of(kept) == "two"
    assert (kept / "data" / "mosquitto.db").read_text() == "retained"
    assert [each.name for each in kept.parent.iterdir()] == ["broker"]
    assert files(card) == set()
