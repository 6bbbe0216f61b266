"""Services that come and go: a spell checker that always has all the dictionaries there are.

python examples/dictionaries.py
"""

from __future__ import annotations

from typing import Protocol

from edgekernel import Runtime, command, component, computed, effect, prop, provides, requires


class IDictionary(Protocol):
    language: str

    def knows(self, word: str) -> bool: ...


@provides(IDictionary)
@prop("language", "language", "??")  # others may choose by it, and each instance has its own
class Dictionary:
    language: str

    def __init__(self, *words: str) -> None:
        self.words = set(words)

    def knows(self, word: str) -> bool:
        return word.lower() in self.words


@component("checker")
class SpellChecker:
    dictionaries = requires(list[IDictionary])  # all of them, the best first
    by_language = requires(IDictionary, key="language")

    @effect
    def rebuild_index(self) -> None:
        """No registering of callbacks: what is read here brings it back when it changes."""
        print(f"index rebuilt: {[each.language for each in self.dictionaries]}")

    @computed
    def languages(self) -> list[str]:
        return sorted(self.by_language)

    @command
    def check(self, word: str) -> list[str]:
        """Say in which languages a word is right."""
        return [name for name in self.languages() if self.by_language[name].knows(word)]


def main() -> None:
    with Runtime() as runtime:
        runtime.register(Dictionary("hello", "taxi"), "dict-en", properties={"language": "EN"})
        runtime.register(Dictionary("bonjour", "taxi"), "dict-fr", properties={"language": "FR"})
        checker = runtime.register(SpellChecker)
        print("taxi:", runtime.invoke("checker.check", {"word": "taxi"}))
        runtime.hot_add(Dictionary("hallo", "taxi"), "dict-de", properties={"language": "DE"})
        print("taxi:", runtime.invoke("checker.check", {"word": "taxi"}))
        runtime.hot_remove("dict-fr")
        print("languages:", checker.languages())


if __name__ == "__main__":
    main()
