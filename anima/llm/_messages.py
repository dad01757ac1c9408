"""What a conversation with a model is made of, whichever provider it goes to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import attrs

from anima_tools import ToolCall, ToolResult


@attrs.frozen
class Text:
    """What the model says."""

    text: str


@attrs.frozen
class Reasoning:
    """What the model thought before it said something.

    `signature` is the provider's own, opaque: with it the block is given back to the provider, which may want that.
    A block that the provider has hidden has a signature and no text.
    """

    text: str
    signature: str | None = None


Part: TypeAlias = Text | Reasoning | ToolCall


@attrs.frozen
class UserMessage:
    """What the model is told."""

    text: str


@attrs.frozen
class AssistantMessage:
    """One answer of the model, its parts in the order in which they came."""

    parts: tuple[Part, ...] = attrs.field(converter=tuple[Part, ...])

    @property
    def text(self) -> str:
        """All that it says, without reasoning and calls."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tools that it wants called."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


@attrs.frozen
class ToolMessage:
    """The results of all calls of the message before, in the order of the calls."""

    results: tuple[ToolResult, ...] = attrs.field(converter=tuple[ToolResult, ...])


Message: TypeAlias = UserMessage | AssistantMessage | ToolMessage

#: What stands in for the result of a call that has none.
NO_RESULT = "There is no result: the call was cut off before it ended."


def mended(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The conversation as providers demand it: each call is followed by exactly one result, each result has its call.

    A call without a result gets a failed one that says so; a result without a call is left out, and so is a message
    that holds nothing. What is whole already stays as it is.
    """
    whole: list[Message] = []
    waiting: tuple[ToolCall, ...] = ()
    for message in messages:
        if isinstance(message, ToolMessage):
            if waiting:
                whole.append(_results(waiting, message.results))
            waiting = ()
            continue
        if waiting:
            whole.append(_results(waiting, ()))
            waiting = ()
        if isinstance(message, AssistantMessage):
            if not (message.text or message.calls):
                continue
            waiting = message.calls
        whole.append(message)
    if waiting:
        whole.append(_results(waiting, ()))
    return tuple(whole)


def _results(calls: tuple[ToolCall, ...], results: tuple[ToolResult, ...]) -> ToolMessage:
    """One result for each call: ids may repeat, where a server numbers them anew in each answer."""
    left = list(results)
    found: list[ToolResult] = []
    for call in calls:
        result = next((result for result in left if result.id == call.id), None)
        if result is None:
            result = ToolResult(call.id, call.name, NO_RESULT, failed=True)
        else:
            left.remove(result)
        found.append(result)
    return ToolMessage(tuple(found))
