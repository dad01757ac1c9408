"""What the test server answers: data for tests to write, and how it looks in each of the two wire formats."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from anima.llm import Usage
from anima_tools import ToolCall

MODEL = "test-model-1"


@attrs.frozen(kw_only=True)
class Answer:
    """One answer of the server, with what is wrong with it.

    What it says, in this order: `reasoning` (with a `signature`, and `hidden` thinking, in the messages API alone),
    `text`, `calls`. `finish` overrides the reason, in the words of the format; the empty text leaves it out.

    When: `when` keeps it for requests whose last message holds this text, `times` is how often it is given (0: always).

    What is wrong: a `status` other than 200, with `error` as its message and `retry_after`; a `redirect`; `delay`
    seconds before the response and `drip` seconds before each event; a `hang` before the `response`, before the
    `first` event, in the `middle`, before the `last` event, or before the `end` of the response; `cut` closes the
    connection after so many bytes of the response, headers included; `half_call` closes it within the arguments of the
    first call; `malformed` makes the second event no JSON; `broken_off` puts an error of this kind in place of the end;
    not `stream` answers with one JSON; `content_type` and `body` replace those of the answer; not `chunked` ends the
    response by closing the connection; not `done` leaves out the last event.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = attrs.field(default=(), converter=tuple[ToolCall, ...])
    reasoning: str = ""
    signature: str | None = None
    hidden: str | None = None
    usage: Usage = Usage(10, 5)
    finish: str | None = None
    when: str = ""
    times: int = 1
    status: int = 200
    error: str = "it went wrong"
    error_type: str = ""
    retry_after: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    redirect: str | None = None
    delay: float = 0.0
    drip: float = 0.0
    hang: str | None = None
    cut: int | None = None
    half_call: bool = False
    malformed: bool = False
    broken_off: str | None = None
    stream: bool = True
    content_type: str | None = None
    body: bytes | None = None
    chunked: bool = True
    done: bool = True

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Answer:
        """From JSON. Calls are objects of `name`, `arguments` (an object or a text) and perhaps `id`."""
        known = dict(found)
        calls = []
        for call in known.pop("calls", ()):
            arguments = call.get("arguments", {})
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            calls.append(ToolCall(call.get("id", ""), call["name"], text))
        if "usage" in known:
            known["usage"] = Usage(**known["usage"])
        if "body" in known:
            known["body"] = known["body"].encode()
        return cls(calls=tuple(calls), **known)


def pieces(text: str) -> list[str]:
    """A text as models send it: word by word."""
    return re.findall(r"\s*\S+|\s+$", text)


def mutated(found: object, path: Sequence[int], other: object) -> object:
    """The same JSON, with something else at one place in it: what no server should say."""
    if not path or not isinstance(found, dict | list) or not found:
        return other
    place = path[0] % len(found)
    if isinstance(found, list):
        return [*found[:place], mutated(found[place], path[1:], other), *found[place + 1 :]]
    key = list(found)[place]
    return found | {key: mutated(found[key], path[1:], other)}


def halves(text: str) -> tuple[str, str]:
    middle = (len(text) + 1) // 2
    return text[:middle], text[middle:]


# Chat completions


def chat_events(answer: Answer, number: int) -> list[bytes]:
    """The stream of the `number`th answer, event by event."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in pieces(answer.reasoning)]
    deltas += [{"content": piece} for piece in pieces(answer.text)]
    for index, call in enumerate(answer.calls):
        first, second = halves(call.arguments)
        begin = {"id": call.id or f"call_{number}_{index}", "type": "function"}
        deltas.append({"tool_calls": [{"index": index, **begin, "function": {"name": call.name, "arguments": ""}}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": first}}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": second}}]})
    reason = _chat_reason(answer)
    choices: list[list[dict[str, Any]]] = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    if answer.broken_off is None and reason:
        choices.append([{"index": 0, "delta": {}, "finish_reason": reason}])
    chunks = [_chat_chunk(choice, number) for choice in choices]
    if answer.broken_off is not None:
        chunks.append({"error": {"message": answer.error, "type": answer.broken_off, "code": None}})
    else:
        chunks.append(_chat_chunk([], number) | {"usage": _chat_usage(answer.usage)})
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    return [*events, b"data: [DONE]\n\n"] if answer.done and answer.broken_off is None else events


def chat_whole(answer: Answer, number: int) -> dict[str, Any]:
    """The same as one JSON."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": call.id or f"call_{number}_{index}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(answer.calls)
        ]
    choice = {"index": 0, "message": message, "finish_reason": _chat_reason(answer)}
    found = _chat_chunk([choice], number) | {"object": "chat.completion"}
    return found | {"usage": _chat_usage(answer.usage)}


def chat_error(answer: Answer) -> dict[str, Any]:
    return {"error": {"message": answer.error, "type": answer.error_type or "test_error", "param": None, "code": None}}


def _chat_reason(answer: Answer) -> str:
    return ("tool_calls" if answer.calls else "stop") if answer.finish is None else answer.finish


def _chat_chunk(choices: list[dict[str, Any]], number: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": MODEL,
        "choices": choices,
    }


def _chat_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


# The messages API


def message_events(answer: Answer, number: int) -> list[bytes]:
    """The stream of the `number`th answer, event by event."""
    usage = _message_usage(answer.usage)
    start = _message(number) | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    found: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(_blocks(answer, number)):
        found += _block_events(index, block)
    if answer.broken_off is not None:
        found.append({"type": "error", "error": {"type": answer.broken_off, "message": answer.error}})
    else:
        reason = _message_reason(answer)
        if reason:
            end = {"stop_reason": reason, "stop_sequence": None}
            found.append(
                {"type": "message_delta", "delta": end, "usage": {"output_tokens": answer.usage.output_tokens}}
            )
        if answer.done:
            found.append({"type": "message_stop"})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in found]


def message_whole(answer: Answer, number: int) -> dict[str, Any]:
    """The same as one JSON."""
    return _message(number) | {
        "content": _blocks(answer, number),
        "stop_reason": _message_reason(answer),
        "usage": _message_usage(answer.usage),
    }


def message_error(answer: Answer) -> dict[str, Any]:
    return {"type": "error", "error": {"type": answer.error_type or "test_error", "message": answer.error}}


def _message(number: int) -> dict[str, Any]:
    return {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": MODEL}


def _message_reason(answer: Answer) -> str:
    return ("tool_use" if answer.calls else "end_turn") if answer.finish is None else answer.finish


def _blocks(answer: Answer, number: int) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.reasoning or answer.signature is not None:
        blocks.append({"type": "thinking", "thinking": answer.reasoning, "signature": answer.signature or ""})
    if answer.hidden is not None:
        blocks.append({"type": "redacted_thinking", "data": answer.hidden})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    for index, call in enumerate(answer.calls):
        id = call.id or f"toolu_{number}_{index}"
        blocks.append({"type": "tool_use", "id": id, "name": call.name, "input": json.loads(call.arguments)})
    return blocks


def _block_events(index: int, block: dict[str, Any]) -> list[dict[str, Any]]:
    begin = dict(block)
    deltas: list[dict[str, Any]] = []
    match block["type"]:
        case "text":
            begin["text"] = ""
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        case "thinking":
            begin |= {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            if block["signature"]:
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "tool_use":
            begin["input"] = {}
            first, second = halves(json.dumps(block["input"]))
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", first, second)]
    return [
        {"type": "content_block_start", "index": index, "content_block": begin},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _message_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_writes,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": usage.cache_writes,
        "output_tokens": usage.output_tokens,
    }
