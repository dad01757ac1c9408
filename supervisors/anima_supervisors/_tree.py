"""What all supervisors of one tree share: the hook, the attempts so far, the randomness, the grace."""

from __future__ import annotations

import time
from random import Random
from typing import Any

from ._events import Event
from ._hooks import Delivery


class _Node:
    """The count of one path, and of those below it."""

    __slots__ = ("below", "made_up", "number")

    def __init__(self) -> None:
        self.number = 0
        self.made_up = 0
        self.below: dict[str, _Node] = {}


class Attempts:
    """How many start attempts each path has had in the life of the tree."""

    def __init__(self) -> None:
        self._top = _Node()

    def _node(self, path: str) -> _Node:
        node = self._top
        for id in path.split("/"):
            node = node.below.get(id) or node.below.setdefault(id, _Node())
        return node

    def add(self, path: str) -> int:
        """The number of a new attempt: 1 for the first."""
        node = self._node(path)
        node.number += 1
        return node.number

    def of(self, path: str) -> int:
        """How many there were."""
        node = self._top
        for id in path.split("/"):
            found = node.below.get(id)
            if found is None:
                return 0
            node = found
        return node.number

    def new_number(self, path: str) -> int:
        """A number for the name of a child of `path` that was not used before, also not by an earlier incarnation."""
        node = self._node(path)
        node.made_up += 1
        return node.made_up

    def forget(self, path: str) -> None:
        """Drop a path, and all below it, whose name is never used again: a long life must not fill the memory."""
        parent, _, id = path.rpartition("/")
        self._node(parent).below.pop(id, None)

    def __len__(self) -> int:
        def count(node: _Node) -> int:
            return sum(1 + count(inner) for inner in node.below.values())

        return count(self._top)


class Tree:
    """Shared by the supervisors below one `open_supervisor`; owned by it."""

    __slots__ = ("_delivery", "_last_id", "attempts", "grace", "random")

    def __init__(self, delivery: Delivery | None, random: Random, grace: float) -> None:
        self._delivery = delivery
        self._last_id = 0
        self.attempts = Attempts()
        self.random = random
        self.grace = grace

    def emit(self, kind: type[Event], path: str, incarnation: int, **fields: Any) -> None:
        if self._delivery is None:
            return
        self._last_id += 1
        event = kind(id=self._last_id, time=time.time(), path=path, incarnation=incarnation, **fields)
        self._delivery.put(event)
