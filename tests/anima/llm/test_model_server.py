"""The test server itself: as a library with a script or a function, and as a program."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from subprocess import PIPE

import httpx
import trio

from tests.servers import model_server
from tests.servers.answers import Answer
from tests.servers.model_server import Asked, serve


def chat(text: str) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


async def said(client: httpx.AsyncClient, url: str, text: str) -> str:
    """The text of an answer that is not streamed, or the message of the error."""
    found = (await client.post(f"{url}/chat/completions", json=chat(text))).json()
    return str(found["error"]["message"] if "error" in found else found["choices"][0]["message"]["content"])


def plain() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=False, trust_env=False)


async def test_answers_are_given_in_order_and_then_there_are_none() -> None:
    script = [Answer(text="a", stream=False), Answer(text="b", stream=False, times=2)]
    async with plain() as client, serve(script) as server:
        found = [await said(client, server.url, "x") for _ in range(4)]
    assert found[:3] == ["a", "b", "b"]
    assert "no answer left" in found[3]


async def test_an_answer_may_wait_for_its_question() -> None:
    script = [Answer(text="a", when="one", stream=False), Answer(text="b", times=0, stream=False)]
    async with plain() as client, serve(script) as server:
        assert [await said(client, server.url, text) for text in ("two", "one?", "one?")] == ["b", "a", "b"]


async def test_a_function_steers_by_the_request() -> None:
    def echo(asked: Asked) -> Answer:
        return Answer(text=asked.last.upper(), stream=False)

    async with plain() as client, serve(echo) as server:
        assert await said(client, server.url, "hello") == "HELLO"
        assert [asked.chat for asked in server.requests] == [True]
        assert server.bodies == [chat("hello")]


async def test_it_tells_its_models_and_its_health() -> None:
    async with plain() as client, serve([]) as server:
        assert (await client.get(f"{server.url}/models")).json()["data"][0]["id"] == "test-model-1"
        assert (await client.get(server.url.removesuffix("/v1") + "/health")).status_code == 200
        assert (await client.get(f"{server.url}/nothing")).status_code == 404
        assert server.requests == []


async def test_it_runs_as_a_program(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    calls = [{"name": "add", "arguments": {"a": 1}}]
    script.write_text(
        json.dumps([{"text": "hi", "stream": False}, {"calls": calls, "stream": False}]), encoding="utf-8"
    )
    command = [sys.executable, model_server.__file__, "--script", str(script)]
    async with trio.open_nursery() as nursery:
        process = await nursery.start(partial(trio.run_process, command, stdout=PIPE, check=False))
        try:
            with trio.fail_after(30):
                url = (await process.stdout.receive_some()).decode().strip()
                async with plain() as client:
                    assert await said(client, url, "x") == "hi"
                    assert (await client.post(f"{url}/messages", json=chat("x"))).json()["content"] == [
                        {"type": "tool_use", "id": "toolu_2_0", "name": "add", "input": {"a": 1}}
                    ]
        finally:
            process.kill()
