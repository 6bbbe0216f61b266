"""Masking: no secret in any record (promise P11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pytest

from edgekernel.core.masking import (
    SECRET,
    Secret,
    brief,
    masked,
    scrubbed,
    secret_parameters,
    sounds_secret,
)

if TYPE_CHECKING:
    from decimal import Decimal as Unknown


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "wifi_password",
        "token",
        "apiKey",
        "API_KEY",
        "client-secret",
        "key",
        "authToken",
    ],
)
def test_names_of_secrets(name: str) -> None:
    """P11: what is called like a secret is one."""
    assert sounds_secret(name)


@pytest.mark.parametrize("name", ["keyboard", "monkey", "level", "tokenize", "pin", "passage"])
def test_other_names(name: str) -> None:
    """A word that only contains one is not."""
    assert not sounds_secret(name)


def test_parameters_by_annotation() -> None:
    """P11: an annotation marks a secret under any name, also inside another one."""

    def login(
        user: str, word: Secret, code: Annotated[int, SECRET], old: Secret | None
    ) -> None: ...

    def odd(user: Unknown, word: Secret) -> None: ...

    assert secret_parameters(login) == {"word", "code", "old"}
    assert secret_parameters(odd) == {"word"}


def test_masked() -> None:
    """P11: secrets are hidden at any depth, and what is large or no plain value is not kept."""
    args = {
        "user": "anna",
        "word": "open sesame",
        "password": "hunter2",
        "wifi": {"ssid": "home", "token": "abc", "more": [{"key": 1}, {"deep": {"deeper": 1}}]},
        "levels": list(range(1000)),
        "text": "x" * 10_000,
        "thing": object(),
    }
    shown = masked(args, {"word"})
    assert (shown["user"], shown["word"], shown["password"]) == ("anna", "***", "***")
    assert shown["wifi"] == {"ssid": "home", "token": "***", "more": ["<dict>", "<dict>"]}
    assert len(shown["levels"]) == 20
    assert len(shown["text"]) < 200
    assert shown["thing"] == "<object>"
    assert len(str(masked({f"a{n}": "x" * 1000 for n in range(1000)}))) < 5000


def test_scrubbed() -> None:
    """P11: a text that quotes a secret argument does not show it."""
    args = {
        "word": "it's \\ me",
        "password": "hunter2",
        "code": 123456,
        "n": 5,
        "wifi": {"key": "k9"},
    }
    text = f"wrong: {args['word']!r}, {args['word']}, 'hunter2', 123456, 5, k9"
    assert scrubbed(text, args, {"word", "code"}) == "wrong: \"***\", ***, '***', ***, 5, ***"
    assert scrubbed("", {}) == ""


def test_brief() -> None:
    """What a stranger wrote does not fill a record."""
    assert brief("short") == "short"
    assert brief("long", 2) == "lo..."
