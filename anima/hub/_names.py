"""Names: one living actor each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import trio

from anima.actors import ActorRef

from ._errors import NameTaken, NameUnknown


class Names:
    """Which actor has which name. An entry vanishes with the incarnation, before its restart begins."""

    def __init__(self) -> None:
        self._refs: dict[str, ActorRef[Any]] = {}
        self._undos: dict[str, Callable[[], None]] = {}
        self._awaited: dict[str, trio.Event] = {}

    def __len__(self) -> int:
        return len(self._refs)

    def register(self, name: str, ref: ActorRef[Any]) -> None:
        """Give a name to a living actor. Raises `NameTaken`, `ActorStopped`."""
        other = self._refs.get(name)
        if other is not None:
            raise NameTaken(name, other.path)
        place = ref.place()
        self._refs[name] = ref
        self._undos[name] = undo = functools.partial(self.unregister, name)
        place.while_up(undo)
        event = self._awaited.pop(name, None)
        if event is not None:
            event.set()

    def unregister(self, name: str) -> None:
        """Take a name back; without effect where nobody has it."""
        ref = self._refs.pop(name, None)
        undo = self._undos.pop(name, None)
        place = None if ref is None else ref.place_if_any()
        if place is not None and undo is not None:
            place.forget(undo)

    def whereis(self, name: str) -> ActorRef[Any] | None:
        """Who has a name now."""
        return self._refs.get(name)

    async def wait_for(self, name: str, timeout: float = 5.0) -> ActorRef[Any]:
        """Who has a name; wait for somebody to take it, at most `timeout` seconds. Raises `NameUnknown`.

        Cancelled, it has only waited.
        """
        await trio.lowlevel.checkpoint()
        if name in self._refs:
            return self._refs[name]
        with trio.move_on_after(timeout):
            while name not in self._refs:
                event = self._awaited.setdefault(name, trio.Event())
                try:
                    await event.wait()
                finally:
                    if not event.statistics().tasks_waiting and self._awaited.get(name) is event:
                        del self._awaited[name]
            return self._refs[name]
        raise NameUnknown(name, timeout)
