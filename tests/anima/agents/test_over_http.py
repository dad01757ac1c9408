"""Agents and a real server: what a user sees when the wire, the server, or the agent itself fails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import trio

from anima.actors import open_system
from anima.agents import TURN_EVENTS, Agent, AgentSpec, ModelErred, StopReason, Task, TextReset, open_home
from anima.llm import ModelSpec, Retry, Timeouts
from anima_supervisors.testing import kill
from anima_tools import Effect, Toolbox, ToolCall, tool
from tests.anima.agents.homes import spec
from tests.servers.answers import Answer
from tests.servers.model_server import serve

FAST = Retry(initial_delay=0.001, max_delay=0.002)


@tool(effect=Effect.PURE)
async def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def agent(url: str, provider: str = "openai", **fields: Any) -> AgentSpec:
    model = ModelSpec(provider=provider, model="test", base_url=url, retry=FAST, timeouts=Timeouts(between=0.5))
    return spec(model=model, toolbox=Toolbox([double]), **fields)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_turn_with_a_tool_over_either_wire(provider: str) -> None:
    script = [Answer(calls=[ToolCall("c1", "double", '{"number": 21}')]), Answer(text="It is 42.")]
    async with serve(script) as server, open_home() as home, open_system() as system:
        ada = await system.spawn("ada", Agent, agent(server.url, provider), home)
        answer = await ada.ask(Task("twice 21?"))
    assert (answer.text, answer.stop_reason) == ("It is 42.", StopReason.END_TURN)
    assert "42" in server.requests[1].last
    assert answer.usage.total_tokens == 30


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=429),
        Answer(status=500),
        Answer(status=529),
        Answer(text="half", broken_off="overloaded_error"),
        Answer(text="It is 42.", cut=400),
        Answer(calls=[ToolCall("c1", "double", '{"number": 21}')], half_call=True),
        Answer(text="It is 42.", malformed=True),
        Answer(text="It is 42.", hang="middle"),
    ],
    ids=["429", "500", "529", "error inside", "cut", "half a call", "no JSON", "hang"],
)
async def test_what_a_server_does_wrong_once_costs_a_retry_and_nothing_else(fault: Answer) -> None:
    async with serve([fault, Answer(text="It is 42.")]) as server, open_home() as home, open_system() as system:
        ada = await system.spawn("ada", Agent, agent(server.url), home)
        async with system.open_inbox(*TURN_EVENTS) as inbox:
            answer = await ada.ask(Task("go", listener=inbox.ref))
            events = [inbox.receive_nowait() for _ in range(inbox.statistics().length)]
    assert (answer.text, answer.stop_reason) == ("It is 42.", StopReason.END_TURN)
    assert len(server.requests) == 2
    assert any(isinstance(event, ModelErred) and "attempt 2" in event.again for event in events)
    streamed = [getattr(event, "text", None) for event in events]
    if "half" in streamed:
        assert any(isinstance(event, TextReset) for event in events)


@pytest.mark.parametrize("status", [400, 401, 402, 404])
async def test_what_trying_again_cannot_mend_ends_the_turn_at_once(status: int) -> None:
    async with serve([Answer(status=status)]) as server, open_home() as home, open_system() as system:
        ada = await system.spawn("ada", Agent, agent(server.url), home)
        answer = await ada.ask(Task("go"))
    assert answer.stop_reason is StopReason.LLM_ERROR
    assert len(server.requests) == 1


async def hanging(server: Any, system: Any, home: Any, nursery: trio.Nursery) -> None:
    ada = await system.spawn("ada", Agent, agent(server.url), home)

    async def ask() -> None:
        try:
            await ada.ask(Task("go", id="t1"))
        except Exception as error:  # stopped: there is no answer
            assert "ended" in str(error) or "stopped" in str(error)

    nursery.start_soon(ask)
    await server.wait_requests()


def hangs() -> Iterable[Answer]:
    return [Answer(text="one two three", hang="first"), Answer(text="again", hang="first")]


async def test_interrupting_a_turn_closes_the_stream_and_the_server_sees_it() -> None:
    async with serve(hangs()) as server, open_home() as home, open_system() as system, trio.open_nursery() as nursery:
        await hanging(server, system, home, nursery)
        home.interrupt("t1")
        with trio.fail_after(5):
            await server.wait_disconnects()


async def test_stopping_an_agent_closes_the_stream_and_the_server_sees_it() -> None:
    async with serve(hangs()) as server, open_home() as home, open_system() as system, trio.open_nursery() as nursery:
        await hanging(server, system, home, nursery)
        kill(system.supervisor, "ada")
        with trio.fail_after(5):
            await server.wait_disconnects()
            await server.wait_requests(2)  # its next incarnation asks again
        home.interrupt("t1")


async def test_a_key_is_in_no_answer_and_no_event() -> None:
    script = [Answer(status=401, error="the key sk-secret is wrong")]
    async with serve(script) as server, open_home() as home, open_system() as system:
        ada = await system.spawn("ada", Agent, agent(server.url), home)
        answer = await ada.ask(Task("go"))
    assert answer.error is not None
    assert "key" in answer.error
