"""What all supervisors of one tree share: the hook, the attempts so far, the randomness, the grace."""

from __future__ import annotations

import time
from random import Random
from typing import Any

from ._events import Event
from ._hooks import Delivery


class Tree:
    """Shared by the supervisors below one `open_supervisor`; owned by it."""

    __slots__ = ("_attempts", "_delivery", "_last_id", "grace", "random")

    def __init__(self, delivery: Delivery | None, random: Random, grace: float) -> None:
        self._delivery = delivery
        self._attempts: dict[str, int] = {}
        self._last_id = 0
        self.random = random
        self.grace = grace

    def attempt(self, path: str) -> int:
        """The number of a new start attempt of `path`: 1 for the first in the life of the tree."""
        number = self._attempts.get(path, 0) + 1
        self._attempts[path] = number
        return number

    def attempts(self, path: str) -> int:
        return self._attempts.get(path, 0)

    def forget(self, path: str) -> None:
        """Drop the count of a path whose name is never used again, so that a long life does not fill the memory."""
        self._attempts.pop(path, None)

    def emit(self, kind: type[Event], path: str, incarnation: int, **fields: Any) -> None:
        if self._delivery is None:
            return
        self._last_id += 1
        event = kind(id=self._last_id, time=time.time(), path=path, incarnation=incarnation, **fields)
        self._delivery.put(event)
