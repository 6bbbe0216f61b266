"""What is said of a broker that cannot be reached."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest

from edgekernel.mqtt.link_problems import unreachable

MORNING = datetime(2026, 11, 29, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(("code", "advice"), [(9, "wait"), (10, "renew the broker's certificate")])
def test_a_certificate_of_another_time(code: int, advice: str) -> None:
    """A certificate that is not valid now is told with this computer's date: in the same words at
    each attempt of a day, so that it is told once and not at each."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "not valid now"
    said = {unreachable("b:8883", error, MORNING + timedelta(minutes=n)) for n in range(0, 900, 7)}
    (text,) = said
    assert "clock says 2026-11-29 (UTC)" in text
    assert text.endswith(advice)
    assert unreachable("b:8883", error, MORNING + timedelta(days=1)) not in said
