"""What a turn remembers by itself: what fits a task is told with it, what was asked and answered is kept.

It helps where it can: a memory that cannot be used keeps no agent from answering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from anima.llm import AssistantMessage, Message, UserMessage
from anima.memory import AgentMemory, MemoryFault, NewMemory, Source, memory_tools
from anima.store import StoreError
from anima_tools import Tool

from . import _said as said
from ._codec import UnreadableRecord
from ._conversation import read_turn
from ._journal import Journal
from ._records import Told, TurnBegan
from ._spec import MemorySpec
from ._state import Plan

#: Of what was asked or answered, so many characters are remembered.
KEPT = 2000


class Remembering:
    """The memory of one agent, as its turns use it. `trouble` is told what went wrong.

    What is remembered by itself is `redacted`; what the agent chooses to remember is not.
    """

    def __init__(
        self, memory: AgentMemory, spec: MemorySpec, redacted: Callable[[str], str], trouble: Callable[[str], None]
    ) -> None:
        self._memory = memory
        self._spec = spec
        self._redacted = redacted
        self._trouble = trouble

    def tools(self, turn: str, conversation: str) -> list[Tool]:
        """Those that the agent may use. What they write can be taken back by the id of the turn."""
        made = memory_tools(self._memory, run=turn, conversation=conversation)
        return [tool for tool in made if tool.name in self._spec.tools]

    async def told(self, task: str, history: Sequence[Message]) -> list[Told]:
        """What is remembered of this, to be told with the task; not what stands in the conversation all the same."""
        if not self._spec.auto or not self._spec.entries:
            return []
        said_before = "\n".join(
            message.text for message in history if isinstance(message, UserMessage | AssistantMessage)
        )
        try:
            text = await self._memory.inject(
                task,
                self._spec.tokens,
                limit=self._spec.entries,
                leave_out=lambda memory: memory.text in said_before,
            )
        except (StoreError, MemoryFault) as error:
            self._trouble(f"nothing is recalled: {error}")
            return []
        return [said.memory(text)] if text else []

    async def keep(self, journal: Journal, turn: str, began: TurnBegan, text: str, ended: float | None = None) -> bool:
        """Remember what was asked and answered. Once, however often the end of a turn is come to.

        `ended` is when that was, in UNIX seconds; by default now. False if it cannot be: it is owed, and tried again
        when the agent is started the next time.
        """
        if not began.remember:
            return True
        try:
            await self._kept(turn, began, text, None if ended is None else datetime.fromtimestamp(ended, UTC))
            await journal.remembered(turn)
        except (StoreError, MemoryFault) as error:
            self._trouble(f"turn {turn} is not remembered for now: {error}")
            return False
        return True

    async def catch_up(self, journal: Journal, agent: str) -> None:
        """Remember those turns that had ended when the program, or the memory, did; as far as that goes now.

        Raises `StoreError` of the journal.
        """
        for id, ended in (await journal.unremembered(agent)).items():
            try:
                turn = await read_turn(journal, id, Plan(), ())
            except UnreadableRecord as error:
                self._trouble(f"turn {id} is not remembered: {error}")
                continue
            if turn.began is None or turn.ended is None:
                continue
            if not await self.keep(journal, id, turn.began, turn.ended.text, ended):
                return

    async def _kept(self, turn: str, began: TurnBegan, text: str, at: datetime | None) -> None:
        sender = began.sender
        asker = sender.rpartition("/")[2] or "user"
        both = [("task", began.task, asker, Source.MODEL if sender else Source.USER)]
        both.append(("answer", text, self._memory.agent, Source.MODEL))
        new = [
            NewMemory(
                self._redacted(text[: 4 * KEPT])[:KEPT],
                source=source,
                run=turn,
                conversation=began.conversation,
                speaker=speaker,
                at=at,
                chosen=False,
                once=f"{turn}-{what}",
            )
            for what, text, speaker, source in both
            if text.strip()
        ]
        await self._memory.remember_many(new)
