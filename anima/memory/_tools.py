"""Memory in the hands of a model: three tools."""

from __future__ import annotations

from typing import Annotated

from anima_tools import Effect, Invocation, Tool, tool

from ._injection import inject
from ._rows import Source
from ._view import AgentMemory

What = Annotated[str, "what to remember: one fact, in a sentence that can be understood without this conversation"]
Key = Annotated[str | None, "a name, to look it up by; what was noted by this name before is kept, with its date"]
Importance = Annotated[float, "from 0 to 10; 1 is usual"]
Scope = Annotated[str, "agent: you alone know it; team:NAME, for a team that you are in: all of its agents do"]

#: Characters of what `recall` answers.
RECALL_CAP = 8_000


def memory_tools(memory: AgentMemory, *, run: str = "", conversation: str = "") -> list[Tool]:
    """The tools `remember`, `recall` and `forget` over one agent's memory.

    `run` and `conversation` are written down with what is remembered; `undo(run)` takes it back.
    """

    async def kept(text: str, key: str | None, importance: float, scope: str, invocation: Invocation) -> str:
        made = await memory.remember(
            text,
            key=key,
            importance=importance,
            scope=scope,
            source=Source.MODEL,
            run=run,
            conversation=conversation,
            once=invocation.key,
        )
        again = f", for the {made.count}. time" if made.count > 1 else ""
        return f"remembered as memory {made.id}{again}"

    @tool(effect=Effect.IDEMPOTENT)
    async def remember(invocation: Invocation, text: What, key: Key = None, importance: Importance = 1.0) -> str:
        """Remember something for later conversations."""
        return await kept(text, key, importance, "agent", invocation)

    @tool(name="remember", effect=Effect.IDEMPOTENT)
    async def remember_and_share(
        invocation: Invocation, text: What, key: Key = None, importance: Importance = 1.0, scope: Scope = "agent"
    ) -> str:
        """Remember something for later conversations, for yourself or for others too."""
        return await kept(text, key, importance, scope, invocation)

    @tool(effect=Effect.PURE, output_cap=RECALL_CAP)
    async def recall(
        query: Annotated[str, "a question or some words; may name a person, or a time such as yesterday or 2026-05"],
        limit: Annotated[int, "how many memories at most"] = 10,
    ) -> str:
        """Look up what was remembered in earlier conversations."""
        found = await memory.recall(query, limit=max(1, min(limit, 50)))
        return inject(found, RECALL_CAP // 4, lambda text: -(-len(text) // 4), numbered=True) or "nothing was found"

    @tool(effect=Effect.IDEMPOTENT)
    async def forget(
        memory_id: Annotated[int | None, "the number of a memory, as recall shows it"] = None,
        key: Annotated[str | None, "or the name of notes: all of them are forgotten"] = None,
    ) -> str:
        """Forget something that is wrong or no longer wanted."""
        which = memory_id if memory_id is not None else key
        if which is None:
            return "nothing was forgotten: give memory_id or key"
        number = await memory.forget(which, run=run)
        return f"forgot {number}" if number else f"nothing was forgotten: there is no {which!r} that you remembered"

    return [remember_and_share if memory.scopes else remember, recall, forget]
