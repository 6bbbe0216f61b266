"""Keys that differ between two documents."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgekernel.node.keys import ABSENT, KeyChange, changed_keys, with_changes

_LEAVES = (
    st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, -0.0])
    | st.text("a.", max_size=2)
)
_NAMES = st.sampled_from(["a", "b", "a.b", "password"])
_DOCUMENTS = st.dictionaries(
    _NAMES,
    st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=3,
)


@given(_DOCUMENTS, _DOCUMENTS)
def test_changes_make_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    """What differs, applied to the one document, makes the other, to the type of every value."""
    made = with_changes(old, changed_keys(old, new))
    assert changed_keys(made, new) == ()
    assert made == new


@given(_DOCUMENTS)
def test_nothing_differs_from_itself(document: dict[str, Any]) -> None:
    """A document has no changes to itself, and to keep it none is needed."""
    assert changed_keys(document, document) == ()
    assert with_changes(document, ()) == document


def test_a_table_that_is_new_is_one_change() -> None:
    """A table that is new or gone is one change, a key of one that stays is one too."""
    old = {"fan": {"pin": 1}, "room": {"every": 1.0}}
    new = {"lamp": {"pin": 2}, "room": {"every": 2.0}}
    assert changed_keys(old, new) == (
        KeyChange(("fan",), {"pin": 1}, ABSENT),
        KeyChange(("room", "every"), 1.0, 2.0),
        KeyChange(("lamp",), ABSENT, {"pin": 2}),
    )
    assert [str(each) for each in changed_keys(old, new)] == ["fan", "room.every", "lamp"]


def test_secrets_are_not_shown() -> None:
    """No value under the name of a secret is shown, wherever it stands."""
    plain, inside = changed_keys(
        {"mqtt": {"password": "old"}}, {"mqtt": {"password": "new"}, "x": {"token": "t", "y": [1]}}
    )
    assert plain.shown == ("***", "***")
    assert inside.shown == (None, {"token": "***", "y": [1]})
