"""How long a conversation is, and where it can be cut. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import attrs

from anima.llm import AssistantMessage, Message, ModelRequest, Reasoning, Text, ToolMessage, Usage, UserMessage

#: So many bytes of UTF-8 are about a token; a rough measure, and rather too many tokens than too few.
BYTES_A_TOKEN = 3.5
#: What each message and each call costs on top.
OVERHEAD = 6
#: What an answer takes, where nobody says that it must be shorter.
ANSWER = 1000
#: Tool results are shortened to so many characters when a turn has become longer than the model can read.
CLIPPED = 2000


def estimated_tokens(messages: Iterable[Message]) -> int:
    """About how many tokens these messages are."""
    return sum(_tokens(message) for message in messages)


def expected_usage(request: ModelRequest, longest: int | None = None) -> Usage:
    """About what a call of the model will use; its answers have at most `longest` tokens."""
    tools = [f"{one.name}{one.description}{json.dumps(one.input_schema)}" for one in request.tools]
    before = sum(_tokens_of(text) for text in (request.system, *tools))
    answer = request.max_tokens or longest or ANSWER
    return Usage(before + estimated_tokens(request.messages), min(ANSWER, answer))


def _tokens(message: Message) -> int:
    texts: list[str] = []
    match message:
        case UserMessage(text):
            texts.append(text)
        case AssistantMessage(parts):
            for part in parts:
                texts.append(part.text if isinstance(part, Text | Reasoning) else part.name + part.arguments)
        case ToolMessage(results):
            texts.extend(result.content for result in results)
    return sum(_tokens_of(text) + OVERHEAD for text in texts)


def _tokens_of(text: str) -> int:
    return int(len(text.encode("utf-8", "replace")) / BYTES_A_TOKEN)


def cut(history: Sequence[Message], keep: int) -> int:
    """How many of the first messages have to go so that the rest is about `keep` tokens.

    The rest begins with what the model was told, so that no result loses its call.
    """
    kept = 0
    place = len(history)
    for number in range(len(history) - 1, -1, -1):
        kept += _tokens(history[number])
        if kept > keep:
            break
        if isinstance(history[number], UserMessage):
            place = number
    return place


def clipped(message: Message) -> Message:
    """A message whose tool results are shortened in their middle."""
    if not isinstance(message, ToolMessage):
        return message
    return ToolMessage(tuple(attrs.evolve(result, content=_clip(result.content)) for result in message.results))


def _clip(text: str) -> str:
    if len(text) <= CLIPPED:
        return text
    half = CLIPPED // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
