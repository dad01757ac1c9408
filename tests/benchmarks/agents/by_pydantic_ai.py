"""pydantic-ai over OpenAI's SDK, as both come, each piece of text handed to an `event_stream_handler`."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
from collections.abc import AsyncIterable
from typing import Any

from tests.benchmarks.agents.by_httpx_asyncio import gather
from tests.benchmarks.agents.workloads import MODEL, SYSTEM, Figures, Row, Turn, counted, measured

# Not by import statements, as types are checked where it is not installed, too.
ai: Any = importlib.import_module("pydantic_ai")
openai_models: Any = importlib.import_module("pydantic_ai.models.openai")
openai_providers: Any = importlib.import_module("pydantic_ai.providers.openai")


def version() -> str:
    return f"pydantic-ai {importlib.metadata.version('pydantic-ai-slim')}"


async def count(number: int, why: str) -> str:
    """Count to a number.

    Args:
        number: how far
        why: what for
    """
    return counted(number)


def run(url: str, row: Row, warm_up: int) -> Figures:
    async def main() -> Figures:
        provider = openai_providers.OpenAIProvider(base_url=url, api_key="none")
        model = openai_models.OpenAIChatModel(MODEL, provider=provider)

        async def make(number: int) -> Turn:
            agent = ai.Agent(model, instructions=SYSTEM, tools=[count])

            async def turn(task: str) -> tuple[str, int]:
                pieces = 0

                async def listen(_: object, events: AsyncIterable[Any]) -> None:
                    nonlocal pieces
                    async for event in events:
                        part = getattr(event, "delta", None) or getattr(event, "part", None)
                        pieces += event.event_kind in ("part_start", "part_delta") and "text" in str(
                            getattr(part, "part_delta_kind", getattr(part, "part_kind", ""))
                        )

                done = await agent.run(task, event_stream_handler=listen)
                return done.output, pieces

            return turn

        return await measured(row, warm_up, make, gather)

    return asyncio.run(main())
