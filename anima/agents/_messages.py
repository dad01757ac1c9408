"""What agents are sent."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import attrs

from anima.actors import ActorRef, Request, message

from ._answer import Answer
from ._journal import Letter
from ._spec import TimerSpec


def new_id() -> str:
    """An id for a task or a note: 16 hexadecimal digits that nobody else has."""
    return secrets.token_hex(8)


@message(idempotent=True)
class Task(Request[Answer]):
    """Something to do, answered with an `Answer` whatever happens to it.

    Tasks with the same `conversation` see what was said before. `id` is that of the turn: a task that comes twice is
    done once, and answered twice. `listener` is told all that happens meanwhile (`TurnEvent`).
    """

    text: str
    conversation: str = "main"
    id: str = attrs.field(factory=new_id)
    listener: ActorRef[Any] | None = None


@message
class Note:
    """Something to know. An agent that is thinking sees it before it asks its model the next time; one that is not
    takes it up like a task, which nobody waits for. `sender` says whom it is from. It is kept as soon as the agent has
    it; `Home.post` keeps it at once."""

    text: str
    sender: str = ""
    id: str = attrs.field(factory=new_id)

    def to(self, agent: str) -> Letter:
        """As it is kept for one agent. The same note may go to many, and is a letter of its own for each."""
        return Letter(f"{self.id}-{_short(agent)}", self.text, self.sender)


@message
class Wake:
    """To an agent: there are letters for it in the journal."""


@message
class Resume:
    """To an agent, by itself: it is to take up this turn, which an earlier program has left, or this letter."""

    turn: str


@message
class Tick:
    """To an agent, by itself: it is time for what `timer` says; `due` was when, in UNIX seconds."""

    timer: TimerSpec
    due: float

    def turn(self, agent: str) -> str:
        """The id of its turn: the same however often this tick comes, and that of no other."""
        return f"tick-{_short(agent, self.timer.message)}-{self.due!r}"


def _short(*texts: str) -> str:
    """Eight hexadecimal digits that stand for texts."""
    return hashlib.sha256("\n".join(texts).encode("utf-8", "replace")).hexdigest()[:8]
