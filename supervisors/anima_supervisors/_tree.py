"""What all supervisors of one tree share: the hook, the attempts so far, the randomness, the grace."""

from __future__ import annotations

import functools
import time
from collections import OrderedDict
from random import Random
from typing import Any

import trio
from trio.lowlevel import Task

from ._events import Event
from ._hooks import Delivery, InlineDelivery

#: How many children that are gone for good have their attempts remembered.
KEPT = 10_000


class Attempts:
    """How many start attempts each path has had in the life of the tree.

    A dict of numbers for each parent: of ten thousand children the garbage collector sees one object. Of children that
    are gone for good the last `KEPT` are remembered, so that a long life with ever new names does not fill the memory.
    """

    def __init__(self) -> None:
        self._below: dict[str, dict[str, int]] = {}
        self._retired: OrderedDict[str, None] = OrderedDict()
        self._made_up: dict[str, int] = {}

    def add(self, path: str) -> int:
        """The number of a new attempt: 1 for the first."""
        parent, _, id = path.rpartition("/")
        counts = self._below.get(parent)
        if counts is None:
            counts = self._below[parent] = {}
        number = counts[id] = counts.get(id, 0) + 1
        if number > 1:
            self._retired.pop(path, None)
        return number

    def of(self, path: str) -> int:
        """How many there were."""
        parent, _, id = path.rpartition("/")
        return self._below.get(parent, {}).get(id, 0)

    def new_number(self, path: str) -> int:
        """A number for the name of a child of `path` that was not used before, also not by an earlier incarnation."""
        number = self._made_up[path] = self._made_up.get(path, 0) + 1
        return number

    def retire(self, path: str) -> None:
        """The child at `path` was forgotten by its supervisor; its name may be used again."""
        self._retired[path] = None
        if len(self._retired) > KEPT:
            self.forget(self._retired.popitem(last=False)[0])

    def forget(self, path: str) -> None:
        """Drop a path, and all below it, whose name is never used again: a long life must not fill the memory."""
        parent, _, id = path.rpartition("/")
        self._below.get(parent, {}).pop(id, None)
        if path in self._below:  # it was a supervisor
            for known in [known for known in self._below if known == path or known.startswith(f"{path}/")]:
                del self._below[known]
                self._made_up.pop(known, None)

    def __len__(self) -> int:
        return sum(map(len, self._below.values()))


class Tree:
    """Shared by the supervisors below one `open_supervisor`; owned by it."""

    __slots__ = ("_delivery", "_last_id", "attempts", "grace", "random", "running", "shared")

    def __init__(self, delivery: Delivery | None, random: Random, grace: float, shared: object = None) -> None:
        self._delivery = delivery
        self._last_id = 0
        self.attempts = Attempts()
        #: the incarnation that runs in a task: its own, or that of a supervisor it has started
        self.running: dict[Task, Any] = {}
        self.random = random
        self.grace = grace
        self.shared = shared

    def emit(self, kind: type[Event], path: str, incarnation: int, **fields: Any) -> None:
        if self._delivery is None:
            return
        self._last_id += 1
        event = kind(id=self._last_id, time=time.time(), path=path, incarnation=incarnation, **fields)
        self._delivery.put(event)

    def emit_about(self, kind: type[Event], path: str, **fields: Any) -> None:
        """Emit an event about a path, whatever is there."""
        if self._delivery is not None:
            self.emit(kind, path, self.attempts.of(path), **fields)

    def emit_from_thread(
        self, token: trio.lowlevel.TrioToken, kind: type[Event], path: str, incarnation: int, **fields: Any
    ) -> None:
        """Emit while the loop is blocked: at once to a hook in a thread, to an inline one when the loop turns again."""
        emit = functools.partial(self.emit, kind, path, incarnation, **fields)
        if isinstance(self._delivery, InlineDelivery):
            token.run_sync_soon(emit)
        else:
            emit()
