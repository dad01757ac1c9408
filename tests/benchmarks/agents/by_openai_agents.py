"""openai-agents over OpenAI's SDK, streamed; without its tracing, which would report to OpenAI."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
from typing import Any

from tests.benchmarks.agents.by_httpx_asyncio import gather
from tests.benchmarks.agents.workloads import MODEL, SYSTEM, Figures, Row, Turn, counted, measured

# Not by import statements, as types are checked where it is not installed, too.
agents: Any = importlib.import_module("agents")
openai: Any = importlib.import_module("openai")

TURNS = 100


def version() -> str:
    return f"openai-agents {importlib.metadata.version('openai-agents')}"


async def count(number: int, why: str) -> str:
    """Count to a number.

    Args:
        number: how far
        why: what for
    """
    return counted(number)


def run(url: str, row: Row, warm_up: int) -> Figures:
    agents.set_tracing_disabled(True)

    async def main() -> Figures:
        client = openai.AsyncOpenAI(base_url=url, api_key="none")
        model = agents.OpenAIChatCompletionsModel(model=MODEL, openai_client=client)
        settings = agents.ModelSettings(include_usage=True)

        async def make(number: int) -> Turn:
            tools = [agents.function_tool(count)]
            agent = agents.Agent(
                name=f"ada-{number}", instructions=SYSTEM, tools=tools, model=model, model_settings=settings
            )

            async def turn(task: str) -> tuple[str, int]:
                pieces = 0
                running = agents.Runner.run_streamed(agent, task, max_turns=TURNS)
                async for event in running.stream_events():
                    if event.type == "raw_response_event":
                        pieces += event.data.type == "response.output_text.delta"
                return running.final_output, pieces

            return turn

        return await measured(row, warm_up, make, gather)

    return asyncio.run(main())
