"""Who waits for whom: a wait that would close a circle is refused at once, since nobody could ever end it.

An edge goes from an actor to the one it waits for, as long as its mailbox is held up by that wait: by an ask in a
handler, or by a `put` in one into a full mailbox. Whether a wait holds up a mailbox is a matter of tasks (see
`System.here`), not of context variables, which are copied into tasks that hold up nothing. An edge is over in the
moment in which the wait is, although the task that waited has not had its turn yet. Guarded by
tests/anima/actors/test_circles.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

import trio
from trio.lowlevel import Task

from ._errors import AskCircle
from ._mailbox import Mailbox


class Node(Protocol):
    """Who waits, and who is waited for: an actor, or what else has a mailbox."""

    path: str
    mailbox: Mailbox[Any]
    waits_for: dict[Wait, None] | None


class Wait(Protocol):
    """An edge: a wait for `target`, until it is `over`."""

    @property
    def target(self) -> Node: ...
    @property
    def over(self) -> bool: ...


class PutWait:
    """The wait of a task for room in a mailbox."""

    __slots__ = ("_task", "target")

    def __init__(self, target: Node, task: Task) -> None:
        self.target = target
        self._task = task

    @property
    def over(self) -> bool:
        return self._task not in (self.target.mailbox.putting or ())


def refuse_circle(waiting: Node, target: Node) -> None:
    """Raise `AskCircle` if `target` waits for `waiting`, however many others are between them."""
    if target is not waiting and not target.waits_for:
        return  # nearly always
    way = _way(target, waiting)
    if way is not None:
        raise AskCircle([waiting.path, *(node.path for node in way if node is not waiting)])


def _way(start: Node, goal: Node) -> list[Node] | None:
    """The actors from `start` to `goal`, each waiting for the next; None if there is no such way."""
    before: dict[Node, Node | None] = {start: None}
    todo = [start]
    while todo:
        node = todo.pop()
        if node is goal:
            way: list[Node] = []
            back: Node | None = node
            while back is not None:
                way.append(back)
                back = before[back]
            return way[::-1]
        for wait in node.waits_for or ():
            if not wait.over and wait.target not in before:
                before[wait.target] = node
                todo.append(wait.target)
    return None


def add_wait(waiting: Node, wait: Wait) -> None:
    """`waiting` waits from now on. Raises `AskCircle`."""
    refuse_circle(waiting, wait.target)
    if waiting.waits_for is None:
        waiting.waits_for = {}
    waiting.waits_for[wait] = None


@contextlib.contextmanager
def waiting_for_room(waiting: Node | None, target: Node) -> Iterator[None]:
    """An edge for the length of the block; none where no actor's mailbox is held up. Raises `AskCircle`."""
    if waiting is None:
        yield
        return
    wait = PutWait(target, trio.lowlevel.current_task())
    add_wait(waiting, wait)
    try:
        yield
    finally:
        assert waiting.waits_for is not None
        del waiting.waits_for[wait]
