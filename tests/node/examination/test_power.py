"""Power and heat, as the kernel of a Raspberry Pi tells of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.node.examination.finding import Level
from edgekernel.node.examination.power import look_at_heat, look_at_power
from tests.node.computers import computer, lay

THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled"
ALARM = "/sys/class/hwmon/hwmon2/in0_lcrit_alarm"
ZONE = "/sys/class/thermal/thermal_zone"


@pytest.mark.parametrize(
    ("bits", "supply", "processor"),
    [
        ("0", (Level.OK, "no under-voltage"), (Level.OK, "not slowed down")),
        ("1", (Level.ERROR, "under-voltage: "), (Level.OK, "not slowed down")),
        (
            "50005",
            (Level.ERROR, "under-voltage: "),
            (Level.WARNING, "slowed down: it is throttled"),
        ),
        (
            "50000",
            (Level.WARNING, "under-voltage has been seen, though not now"),
            (Level.WARNING, "was slowed down before: it was throttled"),
        ),
        (
            "a",
            (Level.OK, "no under-voltage"),
            (
                Level.WARNING,
                "slowed down: its frequency is capped, it is at its soft temperature limit",
            ),
        ),
    ],
)
def test_throttled(
    tmp_path: Path, bits: str, supply: tuple[Level, str], processor: tuple[Level, str]
) -> None:
    """Each bit of the firmware is told in words; one of the past is no error."""
    lay(tmp_path, {THROTTLED: f"{bits}\n"})
    found = list(look_at_power(computer(tmp_path)))
    assert [each.level for each in found] == [supply[0], processor[0]]
    assert found[0].text.startswith(supply[1])
    assert found[1].text == processor[1]
    assert all(bool(each.fix) is (each.level is not Level.OK) for each in found)


def test_what_mends_it(tmp_path: Path) -> None:
    """A processor that is slowed down for want of power needs a supply, a hot one needs cooling."""
    for bits, fix in (("50005", "5.1 V"), ("8", "heat sink")):
        lay(tmp_path, {THROTTLED: bits})
        *_, processor = look_at_power(computer(tmp_path))
        assert fix in processor.fix


def test_the_sensor_of_the_kernel_counts(tmp_path: Path) -> None:
    """Where the kernel has a sensor for under-voltage, it counts: what the firmware said last may
    be old."""
    lay(tmp_path, {ALARM.replace("in0_lcrit_alarm", "name"): "rpi_volt\n", ALARM: "1\n"})
    (supply,) = look_at_power(computer(tmp_path))
    assert supply.level is Level.ERROR
    lay(tmp_path, {ALARM: "0\n", THROTTLED: "1\n"})
    assert next(iter(look_at_power(computer(tmp_path)))).level is Level.OK


def test_the_driver_of_a_pi_5(tmp_path: Path) -> None:
    """The firmware is found by its driver, wherever the board has it."""
    driver = "/sys/bus/platform/drivers/raspberrypi-firmware/soc@107c000000:firmware"
    lay(tmp_path, {f"{driver}/get_throttled": "4\n"})
    *_, processor = look_at_power(computer(tmp_path))
    assert processor.text == "slowed down: it is throttled"


def test_nothing_is_measured(tmp_path: Path) -> None:
    """A board that measures neither says so, which is no fault."""
    found = [*look_at_power(computer(tmp_path)), *look_at_heat(computer(tmp_path))]
    assert [each.level for each in found] == [Level.OK, Level.OK]
    assert {each.text for each in found} == {"this computer does not measure it"}


@pytest.mark.parametrize(
    ("millidegrees", "level"),
    [(79_900, Level.OK), (80_000, Level.WARNING), (85_000, Level.ERROR), (-5_000, Level.OK)],
)
def test_temperature(tmp_path: Path, millidegrees: int, level: Level) -> None:
    """From 80 °C on the processor is hot, from 85 °C on too hot."""
    lay(tmp_path, {f"{ZONE}0/temp": f"{millidegrees}\n", f"{ZONE}0/type": "cpu-thermal\n"})
    (found,) = look_at_heat(computer(tmp_path))
    assert (found.level, found.subject) == (level, "temperature (cpu-thermal)")
    assert found.text.startswith(f"{millidegrees / 1000:g} °C")


def test_the_zone_that_is_nearest_to_its_limit(tmp_path: Path) -> None:
    """Of several zones the one counts that is nearest to its limit; a zone that the kernel switches
    off early is hot 10 °C before."""
    lay(
        tmp_path,
        {
            f"{ZONE}0/temp": "71000\n",
            f"{ZONE}0/type": "soc\n",
            f"{ZONE}1/temp": "66000\n",
            f"{ZONE}1/type": "modem\n",
            f"{ZONE}1/trip_point_0_type": "passive\n",
            f"{ZONE}1/trip_point_0_temp": "50000\n",
            f"{ZONE}1/trip_point_1_type": "critical\n",
            f"{ZONE}1/trip_point_1_temp": "75000\n",
        },
    )
    (found,) = look_at_heat(computer(tmp_path))
    assert (found.level, found.subject) == (Level.WARNING, "temperature (modem)")
    assert found.text == "66 °C, and it should be below 65 °C"
