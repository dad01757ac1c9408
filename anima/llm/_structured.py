"""A model that is offered tools as the JSON schema of what it may say next: see `_actions`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncGenerator

import attrs

from ._actions import ActionReader, Actions, Broken, Called, Cut, Said
from ._errors import ServerFailed
from ._messages import AssistantMessage
from ._request import Finish, FinishReason, Model, ModelEvent, ModelRequest, Reset, TextDelta, ToolCallDelta


class StructuredTools:
    """Asks a model whose server does not enforce tools. What comes out are the events of one that does.

    One call in each answer. The text of an answer comes as it is said; a call comes once it is whole.
    """

    def __init__(self, model: Model) -> None:
        self.name = model.name
        self._model = model

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Ask; see `Model.stream`. Raises `ServerFailed` for broken JSON, which another attempt may mend."""
        actions = Actions(request)
        reader = ActionReader(actions)
        async with contextlib.aclosing(self._model.stream(actions.request())) as events:
            async for event in events:
                match event:
                    case TextDelta(text) if request.tools:
                        if said := reader.feed(text):
                            yield TextDelta(said)
                    case Finish() if reader.begun:
                        for last in self._end(reader, event, request):
                            yield last
                    case Reset():
                        reader = ActionReader(actions)
                        yield event
                    case _:
                        yield event

    def _end(self, reader: ActionReader, finish: Finish, request: ModelRequest) -> list[ModelEvent]:
        match reader.end(finish.reason):
            case Said(text):
                return [*([TextDelta(text)] if text else []), finish]
            case Called(name, arguments):
                call = ToolCallDelta(0, _new_id(request), name, arguments)
                return [call, attrs.evolve(finish, reason=FinishReason.TOOL_CALLS)]
            case Cut():
                return [finish]
            case Broken(text):
                begins = text if len(text) <= 80 else f"{text[:80]}…"
                raise ServerFailed(self.name, f"it answered with broken JSON: {begins!r}")


def _new_id(request: ModelRequest) -> str:
    """An id that no call of the conversation has; the same request always makes the same one."""
    messages = [message for message in request.messages if isinstance(message, AssistantMessage)]
    taken = {call.id for message in messages for call in message.calls}
    return next(id for n in itertools.count(len(taken) + 1) if (id := f"call_{n}") not in taken)
