"""What the tests of models share: reading a stream, and counting what is left open."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from anima.llm import Assembly, Model, ModelAnswer, ModelEvent, ModelRequest, UserMessage


def asked(text: str = "hello") -> ModelRequest:
    return ModelRequest(messages=[UserMessage(text)])


async def events_of(model: Model, request: ModelRequest | None = None) -> list[ModelEvent]:
    async with contextlib.aclosing(model.stream(request or asked())) as stream:
        return [event async for event in stream]


async def answer_of(model: Model, text: str = "hello") -> ModelAnswer:
    """The whole answer; raises what the stream raises."""
    assembly = Assembly()
    for event in await events_of(model, asked(text)):
        assembly.feed(event)
    answer = assembly.answer()
    assert answer is not None
    return answer


class Counted:
    """A model that counts how many of its streams are open, now and at most."""

    def __init__(self, model: Model) -> None:
        self.name = model.name
        self._model = model
        self.open = self.most = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            async with contextlib.aclosing(self._model.stream(request)) as events:
                async for event in events:
                    yield event
        finally:
            self.open -= 1
