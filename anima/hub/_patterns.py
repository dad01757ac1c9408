"""Names of topics and patterns over them, and an index of who listens to which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from ._errors import BadTopic

T = TypeVar("T")

ONE = "*"
REST = "**"


def words_of_topic(topic: str) -> tuple[str, ...]:
    """The words of a topic's name. Raises `BadTopic`."""
    words = tuple(topic.split("."))
    if not all(word and word.isprintable() and "*" not in word for word in words):
        raise BadTopic(f"{topic!r} is no topic: words joined by dots, like news.sport")
    return words


def words_of_pattern(pattern: str) -> tuple[str, ...]:
    """The words of a pattern. Raises `BadTopic`."""
    words = tuple(pattern.split("."))
    for number, word in enumerate(words):
        star = word == ONE or (word == REST and number == len(words) - 1)
        if not star and (not word or not word.isprintable() or "*" in word):
            raise BadTopic(
                f"{pattern!r} is no topic and no pattern: words joined by dots; * is any word, ** at the end the rest"
            )
    return words


class _Node(Generic[T]):
    """What stands at one place of the index, and what goes on from there."""

    __slots__ = ("here", "on")

    def __init__(self) -> None:
        self.here: dict[T, None] = {}
        self.on: dict[str, _Node[T]] = {}


class PatternIndex(Generic[T]):
    """Values by pattern. To find those that match a topic costs by the length of its name, not by their number."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, words: tuple[str, ...], value: T) -> None:
        node = self._root
        for word in words:
            if word not in node.on:
                node.on[word] = _Node()
            node = node.on[word]
        node.here[value] = None
        self._size += 1

    def remove(self, words: tuple[str, ...], value: T) -> None:
        """Take a value out; its nodes go with it where nothing else needs them."""
        way = [self._root]
        for word in words:
            way.append(way[-1].on[word])
        del way[-1].here[value]
        self._size -= 1
        for number in range(len(words) - 1, -1, -1):
            below = way[number + 1]
            if below.here or below.on:
                break
            del way[number].on[words[number]]

    def matching(self, words: tuple[str, ...]) -> Iterator[T]:
        """The values whose patterns match a topic."""
        nodes = [self._root]
        for word in words:
            onward = []
            for node in nodes:
                if REST in node.on:
                    yield from node.on[REST].here
                onward += [node.on[key] for key in (word, ONE) if key in node.on]
            nodes = onward
        for node in nodes:
            yield from node.here
