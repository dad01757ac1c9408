"""What was said before: a conversation is what its turns have left in the journal."""

from __future__ import annotations

from anima.llm import Message

from ._journal import Journal
from ._state import Plan
from ._turn import Turn


async def read_conversation(
    journal: Journal, agent: str, conversation: str, before: str | None = None
) -> tuple[Message, ...]:
    """The messages of a conversation, of those turns that began before the turn `before`; None: of all."""
    messages: tuple[Message, ...] = ()
    for id in await journal.turns(agent, conversation):
        if id == before:
            break
        turn = await read_turn(journal, id, Plan(), messages)
        messages = (*turn.history, *turn.messages)
    return messages


async def read_turn(journal: Journal, id: str, plan: Plan, history: tuple[Message, ...]) -> Turn:
    """A turn as its records have left it. One that was never begun has `began` None."""
    turn = Turn(id, plan, history)
    for record in await journal.records(id):
        turn.apply(record)
    return turn
