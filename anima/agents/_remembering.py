"""What a turn remembers by itself: what fits a task is told with it, what was asked and answered is kept.

It helps where it can: a memory that cannot be used keeps no agent from answering.
"""

from __future__ import annotations

from collections.abc import Callable

from anima.memory import AgentMemory, MemoryFault, NewMemory, Source, memory_tools
from anima.store import StoreError
from anima_tools import Tool

from . import _said as said
from ._answer import Answer
from ._records import Told
from ._spec import MemorySpec

#: Of what was asked or answered, so many characters are remembered.
KEPT = 2000


class Remembering:
    """The memory of one agent, as its turns use it. `trouble` is told what went wrong."""

    def __init__(self, memory: AgentMemory, spec: MemorySpec, trouble: Callable[[str], None]) -> None:
        self._memory = memory
        self._spec = spec
        self._trouble = trouble

    def tools(self, turn: str, conversation: str) -> list[Tool]:
        """Those that the agent may use. What they write can be taken back by the id of the turn."""
        made = memory_tools(self._memory, run=turn, conversation=conversation)
        return [tool for tool in made if tool.name in self._spec.tools]

    async def told(self, task: str) -> list[Told]:
        """What is remembered of this, to be told with the task."""
        if not self._spec.auto:
            return []
        try:
            text = await self._memory.inject(task, self._spec.tokens, limit=self._spec.entries)
        except (StoreError, MemoryFault) as error:
            self._trouble(f"nothing is recalled: {error}")
            return []
        return [said.memory(text)] if text else []

    async def keep(self, turn: str, conversation: str, task: str, sender: str, answer: Answer) -> None:
        """Remember what was asked and answered. Once, however often the end of a turn is come to."""
        if not self._spec.auto:
            return
        asker = sender.rpartition("/")[2] or "user"
        both = [("task", task, asker, Source.MODEL if sender else Source.USER)]
        both.append(("answer", answer.text, self._memory.agent, Source.MODEL))
        new = [
            NewMemory(
                text[:KEPT],
                source=source,
                run=turn,
                conversation=conversation,
                speaker=speaker,
                chosen=False,
                once=f"{turn}-{what}",
            )
            for what, text, speaker, source in both
            if text.strip()
        ]
        try:
            await self._memory.remember_many(new)
        except (StoreError, MemoryFault) as error:
            self._trouble(f"this turn is not remembered: {error}")
