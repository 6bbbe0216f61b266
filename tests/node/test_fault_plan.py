"""Fault plans as files: what is written is what is played, and mistakes are told in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.node.fault_plan import load_faults
from edgekernel.sim.faults import ClockStep, Fault, Nack, Slow, Stuck, StuckLine

PLAN = """
[[fault]]
at = "10min"
device = "room"
kind = "nack"
for = "2min"

[[fault]]
every = "1h"
bus = "i2c1"
kind = "slow"
takes = "20ms"
for = 30
probability = 0.25
times = 4

[[fault]]
at = "2d"
kind = "clock_step"
by = "-90s"

[[fault]]
at = 0
bus = "i2c1"
line = "scl"
kind = "stuck"

[[fault]]
at = 0
line = "GPIO17"
kind = "stuck"
level = "low"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a plan."""
    return tmp_path / "plan.toml"


def test_plan(path: Path) -> None:
    """Each table is a fault, durations are seconds, and what is left out has its default."""
    path.write_text(PLAN)
    assert load_faults(path) == (
        Fault(Nack(), device="room", at_s=600, for_s=120),
        Fault(
            Slow(takes=0.02), bus="i2c1", at_s=3600, every_s=3600, for_s=30, probability=0.25,
            times=4,
        ),
        Fault(ClockStep(by=-90), at_s=172_800),
        Fault(Stuck(line="scl"), bus="i2c1"),
        Fault(StuckLine("low"), line="GPIO17"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('kind = "nak"\nat = 1', "kind: no kind of fault 'nak'; did you mean 'nack'?"),
        ("at = 1", "kind: is missing; this key is required"),
        ('kind = "nack"', "at: is missing; a fault has `at`, `every` or both"),
        ('kind = "nack"\nat = "soon"', 'at: "soon": a duration is a number of seconds or a text'),
        ('kind = "nack"\nat = -1', "at: -1 is not allowed; at least 0"),
        ('kind = "nack"\nat = 1\nfor = 0', "for: 0 is not allowed; more than 0"),
        (
            'kind = "nack"\nat = 1\nprobability = 2',
            "probability: 2 is not allowed; at most 1",
        ),
        ('kind = "nack"\nat = 1\ndvice = "x"', "dvice: unknown key of nack; did you mean 'device'"),
        ('kind = "slow"\nat = 1\ntake = 2', "take: unknown key of slow; did you mean 'takes'?"),
        ('kind = "slow"\nat = 1\ntakes = "5min"', 'takes: "5min" is not allowed; at most 60'),
        ('kind = "slow"\nat = 1\ntakes = "-1s"', 'takes: "-1s" is not allowed; more than 0'),
        ('kind = "drift"\nat = 1', "per_hour: is missing; this key is required"),
        ('kind = "stuck"\nat = 1\nline = "GPIO1"\nlevel = "mid"', "level: "),
    ],
)
def test_mistake(path: Path, table: str, problem: str) -> None:
    """A mistake is told with the file, the number of the fault and the key, and what is allowed."""
    path.write_text(f'[[fault]]\nat = 1\nkind = "garbage"\n[[fault]]\n{table}\n')
    with pytest.raises(ConfigError) as refused:
        load_faults(path)
    (text,) = refused.value.problems
    assert text.startswith(f"plan.toml: fault.2.{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "plan.toml: fault: is missing; this key is required"),
        ("fault = []", "plan.toml: fault: "),
        ("faults = [{}]\nfault = [{}]", "plan.toml: faults: unknown key; did you mean 'fault'?"),
        ("fault = 1", "plan.toml: fault: 1 is not allowed; a list is allowed"),
        ("[[fault]", "is not TOML"),
    ],
)
def test_no_plan(path: Path, text: str, problem: str) -> None:
    """A file that holds no faults, or something else, is refused."""
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_faults(path)
    assert problem in refused.value.problems[0]


def test_no_file(path: Path) -> None:
    """A plan that is not there is told by its path."""
    with pytest.raises(ConfigError, match=r"plan\.toml: there is no such file"):
        load_faults(path)
