"""Chat completions: OpenAI's wire format, which many other servers speak too.

What is not the same everywhere is decided here:

- The longest answer is `max_completion_tokens` for OpenAI itself, whose newer models know no other, and `max_tokens`
  for everybody else.
- Reasoning that a server shows is kept in the history, and given back only to those who want it: DeepSeek and Moonshot
  refuse a message with calls that comes without it, OpenAI refuses it, the others do not read it.
- `response_format` is strict where the schema meets what strictness demands; OpenAI refuses it otherwise.
- `tool_choice` is sent only where it is not `auto`: some servers know no `auto`.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from anima_tools import ToolCall

from ._errors import BrokenStream, ServerFailed
from ._failures import failure_in_stream
from ._json import as_count, as_list, as_object, as_text, object_text
from ._messages import AssistantMessage, Message, Reasoning, ToolMessage, UserMessage
from ._post import Post, endpoint
from ._request import (
    Finish,
    FinishReason,
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolChoice,
    Usage,
)
from ._schemas import is_strict
from ._spec import ModelSpec
from ._sse import ServerEvent
from ._stream import EventParser

if TYPE_CHECKING:
    import httpx

#: Where the requests of a provider go if the spec does not say.
BASE_URLS = {"openai": "https://api.openai.com/v1", "ollama": "http://127.0.0.1:11434/v1"}

#: Stands before the result of a tool that failed: the format has no other place for that.
FAILED = "ERROR: "

_OPENAI = "api.openai.com"
_WANT_REASONING = ("deepseek.com", "moonshot.ai", "moonshot.cn")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")

_REASONS = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "content_filter": FinishReason.FILTERED,
}
_FAILURES = frozenset({"error", "abort", "insufficient_system_resource"})


class OpenAIModel:
    """A model behind a chat completions server. The client is shared, and closed by whoever made it."""

    def __init__(self, spec: ModelSpec, client: httpx.AsyncClient) -> None:
        """Raises `BadSpec` for a base_url that is missing or none."""
        self._spec = spec
        self._client = client
        self._endpoint = endpoint(spec, BASE_URLS.get(spec.provider), "/chat/completions")

    def __repr__(self) -> str:
        return f"<OpenAIModel {self.name}>"

    @property
    def name(self) -> str:
        """`provider:model`."""
        return self._spec.name

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """See `Model.stream`. Raises `BadKey` before anything is sent where OpenAI itself is asked without a key."""
        from ._wire import exchange

        spec, to = self._spec, self._endpoint
        post = Post(
            model=self.name,
            endpoint=to,
            key=spec.api_key,
            key_header=("authorization", "Bearer "),
            key_from="OPENAI_API_KEY" if to.host == _OPENAI else None,
            headers=spec.headers,
            body=encode(request, spec, to.host),
            timeouts=spec.timeouts,
        )
        return exchange(self._client, post, ChatParser(self.name, spec.provider, post.secrets))


# Requests


def encode(request: ModelRequest, spec: ModelSpec, host: str) -> dict[str, Any]:
    """The body of a request to `host`. The same request always makes the same text, so that prefixes can be cached."""
    body: dict[str, Any] = {"model": spec.model}
    gives_back = any(host == name or host.endswith("." + name) for name in _WANT_REASONING)
    messages = [{"role": "system", "content": request.system}] if request.system else []
    for message in request.messages:
        messages += _messages(message, gives_back)
    body["messages"] = messages
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.input_schema),
                },
            }
            for tool in request.tools
        ]
        if request.tool_choice is not ToolChoice.AUTO:
            body["tool_choice"] = request.tool_choice.value
    if request.output is not None:
        schema = dict(request.output.schema)
        name = _NOT_IN_NAMES.sub("_", request.output.name)[:64] or "answer"
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": name, "schema": schema, "strict": is_strict(schema)},
        }
    max_tokens = spec.max_tokens if request.max_tokens is None else request.max_tokens
    if max_tokens is not None:
        body["max_completion_tokens" if host == _OPENAI else "max_tokens"] = max_tokens
    temperature = spec.temperature if request.temperature is None else request.temperature
    if temperature is not None:
        body["temperature"] = temperature
    body["stream"] = True
    body["stream_options"] = {"include_usage": True}
    return body


def _messages(message: Message, gives_back: bool) -> list[dict[str, Any]]:
    match message:
        case UserMessage(text):
            return [{"role": "user", "content": text}]
        case AssistantMessage(parts):
            said: dict[str, Any] = {"role": "assistant", "content": message.text or None}
            if message.calls:
                if gives_back:
                    said["reasoning_content"] = "".join(part.text for part in parts if isinstance(part, Reasoning))
                said["tool_calls"] = [_call(call) for call in message.calls]
            return [said]
        case ToolMessage(results):
            return [
                {
                    "role": "tool",
                    "tool_call_id": result.id,
                    "content": FAILED + result.content if result.failed else result.content,
                }
                for result in results
            ]


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": object_text(call.arguments)},
    }


# Answers


@attrs.define
class _Call:
    """A call of which some has come. `index` is ours: servers count in ways of their own."""

    index: int
    id: str = ""
    anything: bool = False  # of its arguments


class ChatParser(EventParser):
    """One answer, from the chunks of its stream. Pure."""

    _word = "chunk of a chat completion"

    def __init__(self, model: str, provider: str, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(model, provider, secrets)
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._refused = False
        self._usage = Usage()

    def _read(self, found: Mapping[str, Any], event: ServerEvent) -> Iterator[ModelEvent]:
        yield from self._chunk(found, event.data)

    def feed_whole(self, body: object) -> Iterator[ModelEvent]:
        """The events in an answer that was not streamed."""
        found = as_object(body)
        if "error" not in found and not any(
            as_object(as_object(c).get("message")) for c in as_list(found.get("choices"))
        ):
            raise self._nonsense(json.dumps(body))
        choices = [
            {**choice, "delta": choice.get("message"), "finish_reason": choice.get("finish_reason") or "stop"}
            for choice in map(as_object, as_list(found.get("choices")))
        ]
        yield from self._chunk({**found, "choices": choices}, "")
        self._over = True

    def finish(self) -> Finish:
        """How it ended. Raises `BrokenStream` if it has not."""
        if self._reason is None:
            raise BrokenStream(self._model, "the stream ended before the answer did: no finish_reason came")
        if self._refused:
            reason = FinishReason.FILTERED
        else:
            # Some say `stop` after calls, or `tool_calls` after none.
            reason = _REASONS.get(self._reason, FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP)
        return Finish(reason, self._usage, self._answered_by, self._provider)

    def _chunk(self, chunk: Mapping[str, Any], text: str) -> Iterator[ModelEvent]:
        if chunk.get("error"):
            raise failure_in_stream(self._model, chunk["error"], secrets=self._secrets)
        self._answered_by = as_text(chunk.get("model")) or self._answered_by
        if isinstance(chunk.get("usage"), dict):
            self._usage = _usage(chunk["usage"])
        for choice in as_list(chunk.get("choices")):
            if not isinstance(choice, dict):
                raise self._nonsense(text)
            if choice.get("index") in (None, 0):
                yield from self._choice(choice)

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[ModelEvent]:
        delta = as_object(choice.get("delta"))
        thought = next((text for key in _THOUGHTS if (text := as_text(delta.get(key)))), "")
        if thought:
            yield ReasoningDelta(thought)
        if said := _said(delta.get("content")):
            yield TextDelta(said)
        if refusal := as_text(delta.get("refusal")):
            self._refused = True
            yield TextDelta(refusal)
        for piece in as_list(delta.get("tool_calls")):
            yield self._tool_call(as_object(piece))
        reason = as_text(choice.get("finish_reason"))
        if reason in _FAILURES:
            raise ServerFailed(self._model, f"the server broke off its answer: finish_reason is {reason}")
        if reason and self._reason is None and _REASONS.get(reason) is not FinishReason.LENGTH:
            yield from (ToolCallDelta(call.index, arguments="{}") for call in self._calls if not call.anything)
        self._reason = reason or self._reason

    def _tool_call(self, piece: Mapping[str, Any]) -> ToolCallDelta:
        function = as_object(piece.get("function"))
        id, name = as_text(piece.get("id")), as_text(function.get("name"))
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)  # some send the object itself
        call = self._of(piece.get("index"), id, name)
        first = not call.id
        call.id = call.id or id
        call.anything = call.anything or bool(arguments)
        return ToolCallDelta(call.index, id if first else "", name, arguments or "")

    def _of(self, index: object, id: str, name: str) -> _Call:
        """Which call a piece belongs to.

        By its index; but a new id with a name is a new call, as some give all calls the index 0. Without an index: by
        its id; what has neither goes on with the last call, unless it has a name.
        """
        if isinstance(index, int):
            call = self._by_index.get(index)
            if call is not None and not (id and name and call.id and id != call.id):
                return call
        else:
            call = next((call for call in self._calls if id and call.id == id), None)
            if call is not None:
                return call
            if self._calls and not id and not name:
                return self._calls[-1]
        call = _Call(len(self._calls))
        self._calls.append(call)
        if isinstance(index, int):
            self._by_index[index] = call
        return call


_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


def _said(content: object) -> str:
    """Text, or a list of parts of which some are text."""
    if isinstance(content, list):
        return "".join(as_text(as_object(part).get("text")) for part in content)
    return as_text(content)


def _usage(found: Mapping[str, Any]) -> Usage:
    of_input = as_object(found.get("prompt_tokens_details"))
    of_output = as_object(found.get("completion_tokens_details"))
    return Usage(
        input_tokens=as_count(found.get("prompt_tokens")),
        output_tokens=as_count(found.get("completion_tokens")),
        cached_tokens=as_count(of_input.get("cached_tokens")) or as_count(found.get("prompt_cache_hit_tokens")),
        cache_writes=as_count(of_input.get("cache_write_tokens")),
        reasoning_tokens=as_count(of_output.get("reasoning_tokens")),
    )
