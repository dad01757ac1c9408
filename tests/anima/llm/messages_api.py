"""The messages API without a network: requests as they are sent, and answers out of the events of a stream."""

from __future__ import annotations

import json
from typing import Any

from anima.llm import Assembly, Message, ModelAnswer, ModelEvent, ModelRequest, ModelSpec, UserMessage
from anima.llm._anthropic import MessageParser, encode
from anima.llm._sse import ServerEvent, SseParser

SPEC = ModelSpec(provider="anthropic", model="m")


def body(spec: ModelSpec = SPEC, **request: Any) -> dict[str, Any]:
    request.setdefault("messages", [UserMessage("hi")])
    return encode(ModelRequest(**request), spec)


def turns(*messages: Message) -> list[tuple[str, list[dict[str, Any]]]]:
    """The turns that are sent, without the marks for the cache."""
    found = body(messages=messages)["messages"]
    return [
        (turn["role"], [{k: v for k, v in block.items() if k != "cache_control"} for block in turn["content"]])
        for turn in found
    ]


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def fed(*found: object) -> tuple[list[ModelEvent], MessageParser]:
    parser = MessageParser("anthropic:m", "anthropic")
    events: list[ModelEvent] = []
    for event in found:
        events += parser.feed(ServerEvent(event if isinstance(event, str) else json.dumps(event)))
    return events, parser


def whole(blocks: list[dict[str, Any]], found: dict[str, Any] | None = None) -> ModelAnswer:
    parser, assembly = MessageParser("m", "anthropic"), Assembly()
    for event in [*parser.feed_whole(found or {"content": blocks}), parser.finish()]:
        assembly.feed(event)
    done = assembly.answer()
    assert done is not None
    return done


def streamed(*pieces: bytes) -> ModelAnswer:
    sse, parser, assembly = SseParser(), MessageParser("m", "anthropic"), Assembly()
    for piece in pieces:
        for event in sse.feed(piece):
            for found in parser.feed(event):
                assembly.feed(found)
    assembly.feed(parser.finish())
    done = assembly.answer()
    assert done is not None
    return done
