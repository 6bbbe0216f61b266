"""Topics and filters (MQTT 3.1.1, section 4.7)."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def matches(filter: str, topic: str) -> bool:
    """Say whether a filter matches a topic.

    "+" is one level, "#" at the end all that follow and the one above; neither, where it comes
    first, matches a topic that begins with "$" (4.7.2).
    """
    wanted, levels = filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    if wanted[-1] == "#":
        del wanted[-1]
        del levels[len(wanted) :]
    return len(wanted) == len(levels) and all(
        each in ("+", level) for each, level in zip(wanted, levels, strict=True)
    )


def filter_problem(filter: str) -> str:
    """Return what is wrong with a filter; nothing if one can subscribe to it."""
    levels = filter.split("/")
    if not filter or "\0" in filter:
        return "a filter has at least one character, and no NUL"
    for index, level in enumerate(levels):
        if "#" in level and (level != "#" or index != len(levels) - 1):
            return "'#' stands alone, in the last level"
        if "+" in level and level != "+":
            return "'+' stands alone in its level"
    return ""


def topic_problem(topic: str) -> str:
    """Return what is wrong with a topic; nothing if one can publish to it."""
    if not topic or any(character in topic for character in "+#\0"):
        return "a topic has at least one character, and none of '+', '#' and NUL"
    return ""
