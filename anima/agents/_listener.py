"""Whoever listens to a turn hears all of it, however slowly: what does not fit into the mailbox waits here."""

from __future__ import annotations

import contextlib
from collections import deque

import trio

from anima.actors import ActorError, ActorRef, MailboxFull

from ._events import ReasoningStreamed, TextStreamed, TurnEvent

#: At the end of a turn a listener is waited for, until there was room for what is left; at most so many seconds.
LISTENING_SECONDS = 10.0


class Listener:
    """Tells the events of one turn, in their order, to an address; to nobody where that is None, or has ended."""

    def __init__(self, ref: ActorRef[TurnEvent] | None) -> None:
        self._ref = ref
        self._behind: deque[TurnEvent] = deque()

    def tell(self, event: TurnEvent) -> None:
        """Tell it, or keep it while there is no room; pieces of text that wait become one piece. Does not wait."""
        if self._ref is None:
            return
        last = self._behind[-1] if self._behind else None
        if isinstance(event, TextStreamed | ReasoningStreamed) and type(last) is type(event):
            assert isinstance(last, TextStreamed | ReasoningStreamed)
            self._behind[-1] = type(event)(event.turn, last.text + event.text)
        else:
            self._behind.append(event)
        self._catch_up(self._ref)

    def _catch_up(self, ref: ActorRef[TurnEvent]) -> None:
        try:
            while self._behind and not ref.ended:
                ref.tell(self._behind[0])
                self._behind.popleft()
        except MailboxFull:
            return
        except ActorError:  # it has ended, or does not take such a thing
            self._behind.popleft()

    async def finish(self, event: TurnEvent) -> None:
        """Tell the last event, after all that waits; wait for room, for a while."""
        self.tell(event)
        ref = self._ref
        with trio.move_on_after(LISTENING_SECONDS):
            while ref is not None and self._behind and not ref.ended:
                with contextlib.suppress(ActorError):  # the next one may be one that it takes
                    await ref.put(self._behind[0])
                self._behind.popleft()
