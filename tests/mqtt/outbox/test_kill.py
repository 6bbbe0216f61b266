"""The outbox of an agent that is killed with SIGKILL, again and again, in the same file."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[3]
KILLS = 20


def run(file: Path, seed: str, lines: int | None) -> list[str]:
    """Run an agent, kill it after so many lines; return all that it has said."""
    command = [sys.executable, "-m", "tests.mqtt.outbox.kill_me", str(file), seed]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said: list[str] = []
        while len(said) != lines and (line := process.stdout.readline()):
            said.append(line)
        if lines is not None:
            process.kill()
        said += [line for line in process.stdout if line.endswith("\n")]
    return [line.rstrip("\n") for line in said]


def place(id: str) -> tuple[int, int]:
    """Return the place of a message in the order of all boots."""
    boot, number = id.removeprefix("boot").split("-")
    return int(boot), int(number)


def test_killed_again_and_again(file: Path) -> None:
    """An agent that is killed twenty times at any moment: every message that it has called
    committed is delivered, by it or by the next one, in order within its topic, and a second time
    only with the same id and content."""
    chance = random.Random(1)
    delivered: list[tuple[str, ...]] = []
    committed: set[str] = set()
    for seed in range(KILLS):
        said = [line.split() for line in run(file, str(seed), chance.randrange(1, 200))]
        delivered += [tuple(words[1:]) for words in said if words[0] == "D"]
        safe = max((int(words[1]) for words in said if words[0] == "C"), default=0)
        committed |= {f"boot{seed}-{number}" for number in range(1, safe + 1)}
    last = [line.split() for line in run(file, "last", None)]
    delivered += [tuple(words[1:]) for words in last]

    ids = {id for id, _, _ in delivered}
    assert committed <= ids
    assert len(set(delivered)) == len(ids)
    for topic in {topic for _, topic, _ in delivered}:
        first = list(dict.fromkeys(id for id, t, _ in delivered if t == topic))
        assert all(place(one) < place(two) for one, two in pairwise(first))
    print(  # noqa: T201 (the counts are part of the result)
        f"{KILLS} kills: {len(committed)} committed, all delivered; {len(ids)} delivered, "
        f"{len(delivered) - len(ids)} duplicates by id"
    )
    assert len(committed) > 100
