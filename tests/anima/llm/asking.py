"""Asking a model of either wire format: what the tests of both share."""

from __future__ import annotations

import traceback
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from anima.llm import (
    AnthropicModel,
    Assembly,
    Model,
    ModelAnswer,
    ModelError,
    ModelEvent,
    ModelRequest,
    ModelSpec,
    OpenAIModel,
    Secret,
    Usage,
    UserMessage,
)
from anima_tools import ToolCall
from tests.servers.answers import Answer
from tests.servers.model_server import Script, serve

FORMATS = ["openai", "anthropic"]
KEY = "sk-test-0123456789abcdef"
CALL = ToolCall("c1", "add", '{"a": 1, "b": 2}')
WHOLE = Answer(text="Hello you there", calls=[CALL], usage=Usage(9, 4, 1))
DROPPED = Answer(cut=0)  # the connection is closed without a byte
SHORT = Answer(text="Hi", calls=[ToolCall("c1", "add", '{"a": 1}')])


def model(wire: str, client: httpx.AsyncClient, url: str, **spec: Any) -> Model:
    spec.setdefault("api_key", Secret(KEY))
    found = ModelSpec(provider=wire, model="m", base_url=url, **spec)
    return OpenAIModel(found, client) if wire == "openai" else AnthropicModel(found, client)


REQUEST = ModelRequest(messages=[UserMessage("hi")])


async def events(of: Model, request: ModelRequest = REQUEST) -> list[ModelEvent]:
    async with aclosing(of.stream(request)) as stream:
        return [event async for event in stream]


async def answer(of: Model, request: ModelRequest = REQUEST) -> ModelAnswer:
    assembly = Assembly()
    for event in await events(of, request):
        assembly.feed(event)
    found = assembly.answer()
    assert found is not None
    return found


async def asked(wire: str, client: httpx.AsyncClient, script: Script, **spec: Any) -> ModelAnswer:
    async with serve(script) as server:
        return await answer(model(wire, client, server.url, **spec))


async def failure(wire: str, client: httpx.AsyncClient, fault: Answer, **spec: Any) -> ModelError:
    """What the model raises for this answer; the key is nowhere in it."""
    with pytest.raises(ModelError) as caught:
        await asked(wire, client, [fault], **spec)
    assert_no_key(caught.value)
    return caught.value


def assert_no_key(error: BaseException) -> None:
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__) + repr(error.__context__)
    assert KEY not in shown
