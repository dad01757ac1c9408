"""Names: one living actor each."""

from __future__ import annotations

from typing import Any

import trio

from anima.actors import ActorRef

from ._errors import NameTaken, NameUnknown


class Names:
    """Which actor has which name. An entry vanishes with the incarnation, before its restart begins."""

    def __init__(self) -> None:
        self._refs: dict[str, ActorRef[Any]] = {}
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
        place.while_up(lambda: self._vanish(name, ref))
        event = self._awaited.pop(name, None)
        if event is not None:
            event.set()

    def unregister(self, name: str) -> None:
        """Take a name back; without effect where nobody has it."""
        self._refs.pop(name, None)

    def _vanish(self, name: str, ref: ActorRef[Any]) -> None:
        if self._refs.get(name) is ref:
            del self._refs[name]

    def whereis(self, name: str) -> ActorRef[Any] | None:
        """Who has a name now."""
        return self._refs.get(name)

    async def wait_for(self, name: str, timeout: float = 5.0) -> ActorRef[Any]:
        """Who has a name; wait for somebody to take it, at most `timeout` seconds. Raises `NameUnknown`.

        Cancelled, it has only waited.
        """
        with trio.move_on_after(timeout):
            await trio.lowlevel.checkpoint()
            while name not in self._refs:
                event = self._awaited.setdefault(name, trio.Event())
                try:
                    await event.wait()
                finally:
                    if not event.statistics().tasks_waiting and self._awaited.get(name) is event:
                        del self._awaited[name]
            return self._refs[name]
        raise NameUnknown(name, timeout)
