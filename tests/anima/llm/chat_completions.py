"""Chat completions without a network: requests as they are sent, and answers out of the chunks of a stream."""

from __future__ import annotations

import json
from typing import Any

from anima.llm import Assembly, ModelAnswer, ModelEvent, ModelRequest, ModelSpec, UserMessage
from anima.llm._openai import ChatParser, encode
from anima.llm._sse import ServerEvent, SseParser

SPEC = ModelSpec(provider="openai", model="m")


def body(spec: ModelSpec = SPEC, host: str = "localhost", **request: Any) -> dict[str, Any]:
    request.setdefault("messages", [UserMessage("hi")])
    return encode(ModelRequest(**request), spec, host)


def fed(*chunks: object) -> tuple[list[ModelEvent], ChatParser]:
    parser = ChatParser("openai:m", "openai")
    events: list[ModelEvent] = []
    for found in chunks:
        data = found if isinstance(found, str) else json.dumps(found)
        events += parser.feed(ServerEvent(data))
    return events, parser


def streamed(*pieces: bytes) -> ModelAnswer | None:
    sse, parser, assembly = SseParser(), ChatParser("m", "openai"), Assembly()
    for piece in pieces:
        for event in sse.feed(piece):
            for found in parser.feed(event):
                assembly.feed(found)
    assembly.feed(parser.finish())
    return assembly.answer()
