"""A short soak: what is counted is the same after every bad day, and is seen when it is not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.soak.__main__ import report, soak
from tests.soak.day import Day
from tests.soak.verdict import growth, problems

HOUR_S = 3600.0


@pytest.fixture(scope="module")
def days() -> list[Day]:
    """Give three bad days of an hour each."""
    return list(soak(3, HOUR_S, requests=240))


def test_counts_are_flat(days: list[Day]) -> None:
    """After each day with an outage, hung devices, a full disk and a hot change there are exactly
    the same fibers, threads, open files and claimed pins, and the disk use is within its bounds."""
    assert problems(days) == []
    assert days[0].claimed == ("GPIO17", "GPIO22", "GPIO23", "GPIO27", "i2c1", "i2c1", "uart0")


def test_what_differs_is_told(days: list[Day]) -> None:
    """A thread, file or pin that is left behind is named, with the day."""
    more = replace(days[1], claimed=(*days[1].claimed, "GPIO24"))
    assert problems([days[0], more, days[2]]) == [
        f"day 2: {len(more.claimed)} claimed, and {len(more.claimed) - 1} on day 1: "
        "more: 1 GPIO24; fewer: none"
    ]


def test_what_grows_is_told(days: list[Day]) -> None:
    """Memory that grows by what is left behind once an hour is told, with what there is more of."""
    grown = [
        replace(
            days[0],
            number=number,
            objects=60_000 + 48 * number,
            types=Counter({"greenhouse.app.Heartbeat": 48 * number}),
        )
        for number in range(1, 10)
    ]
    (found,) = problems(grown)
    assert found.startswith("objects grow by 48.0 a day from day 4 on, at most 40 is allowed")
    assert "greenhouse.app.Heartbeat +240" in found


def test_a_day_that_stands_out_is_no_growth() -> None:
    """One figure in ten that is far off does not make a growth; a steady one is found."""
    assert growth([5.0] * 4 + [900.0] + [5.0] * 6) == 0.0
    assert growth([1.0, 3.0, 5.0, 7.0]) == 2.0
    assert growth([7.0]) == 0.0


def test_a_bound_that_is_passed_is_told(days: list[Day]) -> None:
    """More on the disk than the node file allows, and too many warnings, are told."""
    full = replace(days[2], journal_bytes=3_000_000, warnings=101)
    assert problems([days[0], days[1], full]) == [
        "day 3: 3000000 journal_bytes, at most 2125000 are allowed",
        "day 3: 101 warnings, at most 100 are allowed",
    ]


def test_a_soak_without_faults_shows_nothing(days: list[Day]) -> None:
    """A day on which nothing happened to the node is a failure of the soak."""
    told = {name: count for name, count in days[2].told.items() if name != "device.offline"}
    quiet = replace(days[2], told=told, asked={"NoAnswerError": 720})
    assert problems([days[0], days[1], quiet]) == [
        "day 3: there was no device.offline: the faults did not happen",
        "day 3: no request of the controller was answered",
    ]


def test_report(days: list[Day]) -> None:
    """The report has a row for each day, and says what grows."""
    text = report(days)
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:5]] == ["1", "2", "3"]
    assert "growth since day 2, rss_kb: " in text
