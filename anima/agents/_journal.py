"""What is kept of turns, and of what was sent to agents: written against this, the turn does not know where it is kept.

A journal belongs to one program at a time, and knows which of its turns were begun by an earlier one: `unfinished`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from ._answer import Spent
from ._budgets import spent_by
from ._records import Compacted, ModelAnswered, Record, ToolAnswered, TurnBegan, TurnEnded

#: A turn that has come to one of these has got further: what was tried before that does not count any more.
PROGRESS = (ModelAnswered, ToolAnswered, Compacted)


class BegunAlready(Exception):
    """A turn of this id was begun before."""


@attrs.frozen
class Letter:
    """A note that was posted to an agent and is kept until it has been seen. `id` tells it from all others."""

    id: str
    text: str
    sender: str = ""


@attrs.frozen
class Spawned:
    """An agent that another one has started, and has again when it is restarted. `key` is that of the step it did."""

    name: str
    persona: str
    key: str


class Journal(Protocol):
    """Keeps the records of turns, in order. What a method was given is kept when it has returned.

    Raises `StoreError` where it cannot be kept, or read.
    """

    async def append(self, turn: str, records: Sequence[Record], taken: Sequence[str] = ()) -> None:
        """Keep records of a turn, all of them or none; the first of a turn is its `TurnBegan`.

        The letters `taken` have been seen with that: they do not come again. Raises `BegunAlready`, and `LookupError`
        if the turn was never begun.
        """

    async def records(self, turn: str) -> tuple[Record, ...]:
        """All records of a turn; none if it was never begun."""

    async def turns(self, agent: str, conversation: str) -> tuple[str, ...]:
        """The turns of one conversation of an agent, in the order in which they began."""

    async def attempt(self, turn: str) -> int:
        """Work on a turn begins again: count that. How often it has begun since there was progress in it."""

    async def unfinished(self, agent: str) -> tuple[str, ...]:
        """The turns that an earlier program has begun and nobody has ended, or begun again, since; oldest first."""

    async def park(self, turn: str) -> None:
        """A turn is left as it is, on purpose: what was begun with `attempt` was no failure, and does not count."""

    async def failed(self, turn: str, error: str) -> None:
        """Work on a turn was cut off by this; it is told with what becomes of the turn."""

    async def put_aside(self, turn: str, error: str) -> None:
        """A turn is given up, until somebody says otherwise: it is no longer unfinished."""

    async def unremembered(self, agent: str) -> Mapping[str, float | None]:
        """The turns of an agent that have ended, are to be remembered and are not yet; oldest first.

        Each with the time of its end, in UNIX seconds, where that is known.
        """

    async def remembered(self, turn: str) -> None:
        """A turn is in the memory of its agent, or need not be."""

    async def keep_spawned(self, agent: str, turn: str, spawned: Spawned) -> None:
        """In a turn of it an agent has started another one. Of one name, the last one counts."""

    async def spawned(self, agent: str, *, now_open: bool) -> tuple[Spawned, ...]:
        """The agents that an agent has started, by name; with `now_open` those of turns that have not ended."""

    async def spent(self) -> Mapping[str, Spent]:
        """What each agent has spent so far, by its path: tokens, costs and calls of all its turns, also of old ones."""

    async def post(self, agent: str, letter: Letter) -> bool:
        """Keep a letter for an agent. False, and nothing done, if one of this id was posted before."""

    async def letters(self, agent: str) -> tuple[Letter, ...]:
        """The letters that an agent has not seen, the oldest first."""

    async def due(self, agent: str, timer: str) -> float | None:
        """When a timer of an agent is due, in UNIX seconds; None if it was never set."""

    async def set_due(self, agent: str, timer: str, due: float) -> None:
        """Remember when a timer is due."""


@attrs.define
class _Turn:
    agent: str
    conversation: str
    records: list[Record] = attrs.field(factory=list)
    attempts: int = 1
    state: str = "open"
    earlier: bool = False
    owed: bool = False


class MemoryJournal:
    """A journal that lasts as long as the program: agents go on with their turns after a crash of theirs.

    `restarted` makes of it what another program would find.
    """

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}
        self._letters: dict[str, tuple[str, Letter]] = {}
        self._seen: set[str] = set()
        self._spent: dict[str, Spent] = {}
        self._due: dict[tuple[str, str], float] = {}
        self._spawned: dict[tuple[str, str], tuple[str, Spawned]] = {}

    def restarted(self) -> None:
        """As if the program had ended here, and been started again."""
        for turn in self._turns.values():
            turn.earlier = True

    async def append(self, turn: str, records: Sequence[Record], taken: Sequence[str] = ()) -> None:
        for record in records:
            if isinstance(record, TurnBegan):
                if turn in self._turns:
                    raise BegunAlready(turn)
                self._turns[turn] = _Turn(record.agent, record.conversation, owed=record.remember)
            if isinstance(record, TurnEnded):
                self._turns[turn].state = "ended"
            if isinstance(record, PROGRESS):
                self._turns[turn].attempts = min(self._turns[turn].attempts, 1)
            self._turns[turn].records.append(record)
        if records:
            agent = self._turns[turn].agent
            self._spent[agent] = self._spent.get(agent, Spent()) + spent_by(records)
        self._seen.update(taken)

    async def records(self, turn: str) -> tuple[Record, ...]:
        return tuple(self._turns[turn].records) if turn in self._turns else ()

    async def turns(self, agent: str, conversation: str) -> tuple[str, ...]:
        mine = (agent, conversation)
        return tuple(id for id, turn in self._turns.items() if (turn.agent, turn.conversation) == mine)

    async def attempt(self, turn: str) -> int:
        found = self._turns[turn]
        found.attempts += 1
        found.earlier = False
        return found.attempts

    async def unfinished(self, agent: str) -> tuple[str, ...]:
        mine = [(id, turn) for id, turn in self._turns.items() if turn.agent == agent]
        return tuple(id for id, turn in mine if turn.earlier and turn.state == "open")

    async def park(self, turn: str) -> None:
        self._turns[turn].attempts -= 1

    async def failed(self, turn: str, error: str) -> None:
        pass  # nobody looks at it from outside

    async def put_aside(self, turn: str, error: str) -> None:
        self._turns[turn].state = "aside"

    async def unremembered(self, agent: str) -> Mapping[str, float | None]:
        mine = [(id, turn) for id, turn in self._turns.items() if turn.agent == agent]
        return {id: None for id, turn in mine if turn.owed and turn.state == "ended"}

    async def remembered(self, turn: str) -> None:
        self._turns[turn].owed = False

    async def keep_spawned(self, agent: str, turn: str, spawned: Spawned) -> None:
        self._spawned[agent, spawned.name] = (turn, spawned)

    async def spawned(self, agent: str, *, now_open: bool) -> tuple[Spawned, ...]:
        mine = [found for (by, _), found in sorted(self._spawned.items()) if by == agent]
        return tuple(spawned for turn, spawned in mine if not now_open or self._turns[turn].state == "open")

    async def spent(self) -> Mapping[str, Spent]:
        return dict(self._spent)

    async def post(self, agent: str, letter: Letter) -> bool:
        if letter.id in self._letters:
            return False
        self._letters[letter.id] = (agent, letter)
        return True

    async def letters(self, agent: str) -> tuple[Letter, ...]:
        return tuple(letter for id, (to, letter) in self._letters.items() if to == agent and id not in self._seen)

    async def due(self, agent: str, timer: str) -> float | None:
        return self._due.get((agent, timer))

    async def set_due(self, agent: str, timer: str, due: float) -> None:
        self._due[agent, timer] = due
