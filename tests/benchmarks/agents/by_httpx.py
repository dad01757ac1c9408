"""By hand: a loop over httpx on Trio, which sends what the others send, and reads it with `json`.

No types, no checks, no deadlines, no retries, no records: what is left is what the wire itself costs.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import trio

from tests.benchmarks.agents.workloads import MODEL, SYSTEM, Figures, Row, Turn, counted, measured, tool_schema


async def count(number: int, why: str) -> str:
    """The tool."""
    return counted(number)


def make_client() -> httpx.AsyncClient:
    """As many connections as there are agents, and none of them closed."""
    return httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None, max_keepalive_connections=None))


class Loop:
    """One agent."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url}/chat/completions"
        self._tools = [tool_schema()]

    async def turn(self, task: str) -> tuple[str, int]:
        messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task}]
        while True:
            text, calls = await self._ask(messages)
            if not calls:
                return "".join(text), len(text)
            messages.append({"role": "assistant", "content": "".join(text) or None, "tool_calls": calls})
            for call in calls:
                result = await count(**json.loads(call["function"]["arguments"]))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})

    async def _ask(self, messages: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
        body = {
            "model": MODEL,
            "messages": messages,
            "tools": self._tools,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        text: list[str] = []
        calls: list[dict[str, Any]] = []
        async with self._client.stream("POST", self._url, json=body) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                for choice in json.loads(line[6:])["choices"]:
                    delta = choice["delta"]
                    if delta.get("content"):
                        text.append(delta["content"])
                    for piece in delta.get("tool_calls", ()):
                        if piece["index"] == len(calls):
                            calls.append(piece)
                        else:
                            calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
        return text, calls


async def together(tasks: Sequence[Callable[[], Awaitable[None]]]) -> None:
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)


def run(url: str, row: Row, warm_up: int) -> Figures:
    async def main() -> Figures:
        async with make_client() as client:

            async def make(number: int) -> Turn:
                return Loop(client, url).turn

            return await measured(row, warm_up, make, together)

    return trio.run(main)
