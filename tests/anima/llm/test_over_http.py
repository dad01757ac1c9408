"""Whole models over HTTP, against a server that fails on purpose: retries, limits and ends, as an agent meets them."""

from __future__ import annotations

import contextlib
import json
from random import Random
from typing import Any

import pytest
import trio

from anima.llm import (
    BadKey,
    BrokenStream,
    FinishReason,
    Incident,
    ModelRequest,
    ModelSpec,
    QuotaExceeded,
    RateLimited,
    Reset,
    Retry,
    Retrying,
    Secret,
    TextDelta,
    ToolProtocol,
    ToolSpec,
    UserMessage,
    open_models,
)
from tests.anima.llm.flaky import answer_of, asked, events_of
from tests.servers.answers import Answer
from tests.servers.model_server import Asked, ModelServer, serve

QUICK = Retry(initial_delay=0.001, max_delay=0.001)


def to(server: ModelServer, provider: str = "openai", **fields: Any) -> ModelSpec:
    fields = {"retry": QUICK, "api_key": Secret("sk-secret-secret"), **fields}
    return ModelSpec(provider=provider, model="m", base_url=server.url, **fields)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_what_passes_is_waited_out_before_the_first_token(provider: str) -> None:
    script = [Answer(status=429, retry_after="0.01"), Answer(status=500), Answer(status=529), Answer(text="Hello")]
    log: list[Incident] = []
    async with serve(script) as server, open_models(random=Random(1), on_incident=log.append) as models:
        events = await events_of(models.get(to(server, provider)))
    assert not any(isinstance(event, Reset) for event in events)
    assert [incident.error.status for incident in log if isinstance(incident, Retrying)] == [429, 500, 529]
    assert len(server.requests) == 4


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_an_answer_that_breaks_off_comes_again_after_a_reset(provider: str) -> None:
    script = [Answer(text="Hello, how are you today?", cut=700), Answer(text="Hello again")]
    async with serve(script) as server, open_models() as models:
        events = await events_of(models.get(to(server, provider)))
    [reset] = [n for n, event in enumerate(events) if isinstance(event, Reset)]
    assert "".join(event.text for event in events[:reset] if isinstance(event, TextDelta)).startswith("Hello")
    assert "".join(event.text for event in events[reset:] if isinstance(event, TextDelta)) == "Hello again"


async def test_a_server_that_wants_to_be_left_alone_for_long_is_left_alone() -> None:
    script = [Answer(status=429, retry_after="3600")]
    async with serve(script) as server, open_models() as models:
        with pytest.raises(RateLimited, match="left alone for 3600 s, and retry_after_cap is 60 s"):
            await events_of(models.get(to(server)))
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "kind"), [(401, BadKey), (402, QuotaExceeded)])
async def test_a_key_or_an_account_that_does_not_work_is_replaced_by_the_next(status: int, kind: type[Any]) -> None:
    async with serve([Answer(status=status)]) as first, serve([Answer(text="Hello")]) as second:
        log: list[Any] = []
        async with open_models(on_incident=log.append) as models:
            spec = to(first, fallback=(to(second, "anthropic"),))
            assert (await answer_of(models.get(spec))).finish.provider == "anthropic"
    assert [type(incident.error) for incident in log] == [kind]


async def test_a_cancelled_request_is_seen_by_the_server_through_all_layers() -> None:
    script = [Answer(text="Hello, how are you?", hang="middle")]
    async with serve(script) as server, open_models() as models:
        model = models.get(to(server, fallback=(to(server),)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(events_of, model)
            await server.wait_requests()
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await server.wait_disconnects()


async def test_a_stream_that_is_closed_early_is_seen_by_the_server() -> None:
    script = [Answer(text="Hello, how are you?", hang="middle")]
    async with serve(script) as server, open_models() as models:
        async with contextlib.aclosing(models.get(to(server)).stream(asked())) as stream:
            await anext(stream)
        with trio.fail_after(5):
            await server.wait_disconnects()


async def test_a_server_is_asked_so_much_at_once_by_all_agents_together() -> None:
    open_ = most = 0

    async def ask(model: Any) -> None:
        nonlocal open_, most
        async with contextlib.aclosing(model.stream(asked())) as stream:
            await anext(stream)
            open_, most = open_ + 1, max(most, open_ + 1)
            async for _ in stream:
                pass
            open_ -= 1

    def answer(_asked: Asked) -> Answer:
        return Answer(text="one two three four")

    async with serve(answer) as server, open_models() as models:
        async with trio.open_nursery() as nursery:
            for n in range(20):
                nursery.start_soon(ask, models.get(to(server, concurrency=3 + n)))
    assert most <= 3
    assert len(server.requests) == 20


async def test_structured_tools_work_over_http() -> None:
    action = json.dumps({"action": "clock", "arguments": {"zone": "é"}})
    tools = [ToolSpec("clock", "Tells.", {"type": "object", "properties": {"zone": {"type": "string"}}})]
    async with serve([Answer(text=action)]) as server, open_models() as models:
        spec = to(server, tool_protocol=ToolProtocol.STRUCTURED)
        events = await events_of(models.get(spec), ModelRequest(messages=[UserMessage("?")], tools=tools))
    assert getattr(events[-1], "reason", None) is FinishReason.TOOL_CALLS
    [body] = server.bodies
    assert "tools" not in body
    assert body["response_format"]["json_schema"]["schema"]["anyOf"][0]["properties"]["action"] == {"const": "clock"}


async def test_a_break_without_retries_comes_as_it_is() -> None:
    async with serve([Answer(text="Hello, how are you today?", cut=700)]) as server, open_models() as models:
        with pytest.raises(BrokenStream):
            await events_of(models.get(to(server, retry=Retry(max_retries=0))))
