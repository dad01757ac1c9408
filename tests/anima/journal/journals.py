"""Journals for tests: in memory and on the disk, and what another program finds of them."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from anima.agents import JOURNAL, Journal, MemoryJournal, Record, StopReason, StoreJournal, TurnBegan
from anima.agents._records import ModelAnswered, ModelCalled, ToolAnswered, ToolCalled, TurnEnded
from anima.llm import AssistantMessage, Finish, FinishReason, Text
from anima.store import Store, open_store
from anima_tools import Effect, ToolResult


class Kept:
    """A journal that can be killed: `await kept.restarted()` is what the next program finds."""

    journal: Journal

    async def restarted(self) -> Journal:
        raise NotImplementedError


class InMemory(Kept):
    def __init__(self) -> None:
        self.journal = self._memory = MemoryJournal()

    async def restarted(self) -> Journal:
        self._memory.restarted()
        return self._memory


class OnDisk(Kept):
    """A real file. Killed, nothing is flushed: the next program has what the kernel had at that moment."""

    store: Store

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._programs = 0

    async def open(self) -> OnDisk:
        await self._open(self._folder / "0" / "ada.journal")
        return self

    async def _open(self, file: Path) -> None:
        self.store = await self._stack.enter_async_context(open_store(file, JOURNAL, owner="a test"))
        self.journal = StoreJournal(self.store, now=lambda: 1000.0)

    async def restarted(self) -> Journal:
        """Without the lock: the kernel takes it from a program that has ended."""
        before = self._folder / str(self._programs)
        self._programs += 1
        after = self._folder / str(self._programs)
        after.mkdir()
        for name in ("ada.journal", "ada.journal-wal"):
            shutil.copyfile(before / name, after / name)
        await self._stack.aclose()
        shutil.rmtree(before)
        await self._open(after / "ada.journal")
        return self.journal


# Records


def began(task: str = "the task", agent: str = "home/ada", conversation: str = "main", **more: Any) -> TurnBegan:
    return TurnBegan(task=task, agent=agent, conversation=conversation, **more)


def answered(text: str = "It is 42.", step: int = 1) -> ModelAnswered:
    return ModelAnswered(step=step, message=AssistantMessage((Text(text),)), finish=Finish(FinishReason.STOP))


def called(step: int = 2) -> ToolCalled:
    return ToolCalled(step=step, tool="look", key=f"key {step}", effect=Effect.PURE)


def gave(step: int = 2) -> ToolAnswered:
    return ToolAnswered(step=step, result=ToolResult("c1", "look", "seen"))


def ended(text: str = "It is 42.", error: str | None = None) -> TurnEnded:
    return TurnEnded(stop_reason=StopReason.END_TURN, text=text, error=error)


def one_turn() -> list[Record]:
    return [began(), ModelCalled(step=1), answered(), called(), gave(), ended()]
