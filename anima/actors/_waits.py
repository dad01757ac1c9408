"""Who waits for whom: a wait that would close a circle is refused at once, since nobody could ever end it.

An edge goes from an actor to the one it waits for, as long as its mailbox is held up by that wait: by an ask in a
handler, or by a `put` in one into a full mailbox. Whether a wait holds up a mailbox is a matter of tasks (see
`System.actor_of`), not of context variables, which are copied into tasks that hold up nothing. Guarded by
tests/anima/actors/test_circles.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ._errors import AskCircle

if TYPE_CHECKING:
    from ._place import Receiver


def refuse_circle(waiting: Receiver, target: Receiver) -> None:
    """Raise `AskCircle` if `target` waits for `waiting`, however many others are between them."""
    if target is not waiting and not target.waits_for:
        return  # nearly always
    way = _way(target, waiting)
    if way is not None:
        raise AskCircle([waiting.path, *(cell.path for cell in way if cell is not waiting)])


def _way(start: Receiver, goal: Receiver) -> list[Receiver] | None:
    """The actors from `start` to `goal`, each waiting for the next; None if there is no such way."""
    before: dict[Receiver, Receiver | None] = {start: None}
    todo = [start]
    while todo:
        cell = todo.pop()
        if cell is goal:
            way: list[Receiver] = []
            back: Receiver | None = cell
            while back is not None:
                way.append(back)
                back = before[back]
            return way[::-1]
        for other in cell.waits_for or ():
            if other not in before:
                before[other] = cell
                todo.append(other)
    return None


@contextlib.contextmanager
def waiting(cell: Receiver | None, target: Receiver) -> Iterator[None]:
    """An edge for the length of the block; none where no actor's mailbox is held up. Raises `AskCircle`."""
    if cell is None:
        yield
        return
    add_edge(cell, target)
    try:
        yield
    finally:
        remove_edge(cell, target)


def add_edge(cell: Receiver, target: Receiver) -> None:
    """`cell` waits for `target` from now on. Raises `AskCircle`."""
    refuse_circle(cell, target)
    if cell.waits_for is None:
        cell.waits_for = {}
    cell.waits_for[target] = cell.waits_for.get(target, 0) + 1


def remove_edge(cell: Receiver, target: Receiver) -> None:
    """One wait of `cell` for `target` is over."""
    assert cell.waits_for is not None
    left = cell.waits_for[target] - 1
    if left:
        cell.waits_for[target] = left
    else:
        del cell.waits_for[target]
