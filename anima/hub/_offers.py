"""Sets that can be added to, taken from, counted, and drawn from at random, each at the same cost however large."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class DrawableSet(Generic[T]):
    """A set whose members also have numbers, which change as others leave."""

    __slots__ = ("_numbers", "_values")

    def __init__(self) -> None:
        self._values: list[T] = []
        self._numbers: dict[T, int] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[T]:
        return iter(self._values)

    def __contains__(self, value: object) -> bool:
        return value in self._numbers

    def add(self, value: T) -> None:
        if value not in self._numbers:
            self._numbers[value] = len(self._values)
            self._values.append(value)

    def remove(self, value: T) -> None:
        """Take one out; the last one takes its place."""
        number = self._numbers.pop(value)
        last = self._values.pop()
        if last is not value:
            self._values[number] = last
            self._numbers[last] = number

    def some(self, count: int, random: Random) -> list[T]:
        """All, where there are no more than `count`; else so many at random, perhaps with repetitions."""
        if len(self._values) <= count:
            return list(self._values)
        return [self._values[random.randrange(len(self._values))] for _ in range(count)]
