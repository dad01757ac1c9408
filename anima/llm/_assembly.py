"""One answer, put together from the events of a stream."""

from __future__ import annotations

import attrs

from anima_tools import ToolCall

from ._messages import AssistantMessage, Part, Reasoning, Text
from ._request import Finish, ModelEvent, ReasoningDelta, Reset, TextDelta, ToolCallDelta


@attrs.frozen
class ModelAnswer:
    """A whole answer: what was said, and how it ended."""

    message: AssistantMessage
    finish: Finish


class Assembly:
    """Takes the events of a stream one by one. Pure: the same events make the same answer, however they were cut.

    A call counts only once the stream has finished: half a call is never one.
    """

    def __init__(self) -> None:
        self._parts: list[Text | Reasoning | int] = []  # an int is the index of a call
        self._calls: dict[int, ToolCallDelta] = {}
        self._finish: Finish | None = None

    @property
    def text(self) -> str:
        """What has been said so far."""
        return "".join(part.text for part in self._parts if isinstance(part, Text))

    @property
    def begun(self) -> bool:
        """Something of the answer has come."""
        return bool(self._parts) or self._finish is not None

    def feed(self, event: ModelEvent) -> None:
        match event:
            case TextDelta(text):
                self._say(text)
            case ReasoningDelta(text, signature):
                self._think(text, signature)
            case ToolCallDelta():
                self._call(event)
            case Reset():
                self.__init__()  # type: ignore[misc]
            case Finish():
                self._finish = event

    def _say(self, text: str) -> None:
        last = self._parts[-1] if self._parts else None
        if isinstance(last, Text):
            self._parts[-1] = Text(last.text + text)
        elif text:
            self._parts.append(Text(text))

    def _think(self, text: str, signature: str | None) -> None:
        last = self._parts[-1] if self._parts else None
        if isinstance(last, Reasoning) and last.signature is None:
            self._parts[-1] = Reasoning(last.text + text, signature)
        elif text or signature is not None:
            self._parts.append(Reasoning(text, signature))

    def _call(self, delta: ToolCallDelta) -> None:
        before = self._calls.get(delta.index)
        if before is None:
            self._parts.append(delta.index)
            before = ToolCallDelta(delta.index)
        self._calls[delta.index] = ToolCallDelta(
            delta.index, before.id or delta.id, before.name or delta.name, before.arguments + delta.arguments
        )

    def answer(self) -> ModelAnswer | None:
        """The whole; None as long as the stream has not finished. A call without an id gets one: its index."""
        if self._finish is None:
            return None
        return ModelAnswer(AssistantMessage(tuple(self._part(part) for part in self._parts)), self._finish)

    def _part(self, part: Text | Reasoning | int) -> Part:
        if not isinstance(part, int):
            return part
        call = self._calls[part]
        return ToolCall(call.id or f"call_{part}", call.name, call.arguments)
