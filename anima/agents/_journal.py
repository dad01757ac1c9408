"""The durable record of turns. The turn is written against this; how durable it is, is the journal's affair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ._records import Record, TurnBegan


class Journal(Protocol):
    """Keeps the records of turns, in order. A record is kept when `append` has returned."""

    async def append(self, turn: str, records: Sequence[Record]) -> None:
        """Keep records of a turn: all of them or none. The first of a turn is its `TurnBegan`."""

    async def records(self, turn: str) -> tuple[Record, ...]:
        """All records of a turn; none if it was never begun."""

    async def turns(self, agent: str, conversation: str) -> tuple[str, ...]:
        """The turns of one conversation of an agent, in the order in which they began."""


class MemoryJournal:
    """A journal that lasts as long as the program: agents go on with their turns after a crash of theirs."""

    def __init__(self) -> None:
        self._turns: dict[str, list[Record]] = {}
        self._conversations: dict[tuple[str, str], list[str]] = {}

    async def append(self, turn: str, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, TurnBegan):
                self._conversations.setdefault((record.agent, record.conversation), []).append(turn)
        self._turns.setdefault(turn, []).extend(records)

    async def records(self, turn: str) -> tuple[Record, ...]:
        return tuple(self._turns.get(turn, ()))

    async def turns(self, agent: str, conversation: str) -> tuple[str, ...]:
        return tuple(self._conversations.get((agent, conversation), ()))
