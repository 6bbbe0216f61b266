"""Secrets are taken out of documents, and put back where they were."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgekernel.node.secrets import with_secrets, without_secrets

MQTT = {
    "host": "h",
    "password": "hush",
    "password_file": "p",
    "tls": {"key": "k.pem"},
    "signatures": {"keys": {"anna": "a.pem"}},
}


def test_secrets_are_left_out() -> None:
    """Texts under the names of secrets are left out; names of files, tables and lists stay."""
    document = {"mqtt": MQTT, "devices": {"x": [{"token": "t"}, 1], "key": {"a": 1}}}
    found, keys = without_secrets(document)
    assert keys == ["mqtt.password", "devices.x.token"]
    assert found["mqtt"] == {key: each for key, each in MQTT.items() if key != "password"}
    assert found["devices"] == {"x": [{}, 1], "key": {"a": 1}}


_DOCUMENTS = st.dictionaries(
    st.sampled_from(["password", "a", "token", "mqtt"]),
    st.recursive(
        st.integers() | st.text(max_size=3),
        lambda inner: st.dictionaries(st.sampled_from(["key", "b", "secret"]), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@given(_DOCUMENTS)
def test_they_come_back(document: dict[str, Any]) -> None:
    """A document without its secrets is whole again with its own; what is hidden is none."""
    found, _ = without_secrets(document)
    assert with_secrets(found, document) == document
    assert without_secrets(found) == (found, [])
