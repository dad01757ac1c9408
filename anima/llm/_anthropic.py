"""The messages API: Anthropic's wire format.

What could be done in several ways is decided here:

- An output schema goes into `output_config.format`, which leaves the model free to call tools first; a forced tool
  would not. It enforces only closed schemas without bounds, so that a copy is sent that is so; what cannot be closed
  (a map with any keys, a schema that holds itself) is told in the system prompt instead.
- Thinking is given back where it stood, with its signature; what has no signature came from elsewhere and is left out.
- Everything up to the last message is marked for the prompt cache: the tools, the system prompt, the conversation.
- Ids of calls that are no ids here, or were used before, are replaced: those of other servers may be so.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ._errors import BrokenStream
from ._failures import failure_in_stream
from ._json import as_count, as_object, as_text, object_of
from ._messages import AssistantMessage, Message, Part, Reasoning, Text, ToolMessage, UserMessage
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
from ._schemas import closed
from ._spec import ModelSpec
from ._sse import ServerEvent
from ._stream import EventParser

if TYPE_CHECKING:
    import httpx

#: The longest answer where nobody says how long it may be: the format demands a number.
MAX_TOKENS = 4096

_BASE_URL = "https://api.anthropic.com/v1"
_HOST = "api.anthropic.com"
_VERSION = {"anthropic-version": "2023-06-01"}

#: Before the signature of a block that the provider has hidden. One that is only not shown has a signature and no text
#: as well, and has to be given back as what it was.
_HIDDEN = "hidden:"

_CACHED = {"type": "ephemeral"}
_CHOICES = {ToolChoice.NONE: "none", ToolChoice.REQUIRED: "any"}
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")

_REASONS = {
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "refusal": FinishReason.FILTERED,
}


class AnthropicModel:
    """A model behind the messages API. The client is shared, and closed by whoever made it."""

    def __init__(self, spec: ModelSpec, client: httpx.AsyncClient) -> None:
        """A base_url may end in `/v1` or not. Raises `BadSpec` for one that is none."""
        self._spec = spec
        self._client = client
        ends_in_version = (spec.base_url or _BASE_URL).partition("?")[0].rstrip("/").endswith("/v1")
        self._endpoint = endpoint(spec, _BASE_URL, "/messages" if ends_in_version else "/v1/messages")

    def __repr__(self) -> str:
        return f"<AnthropicModel {self.name}>"

    @property
    def name(self) -> str:
        """`provider:model`."""
        return self._spec.name

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """See `Model.stream`. Raises `BadKey` before anything is sent where Anthropic itself is asked without a key."""
        from ._wire import exchange

        spec, to = self._spec, self._endpoint
        post = Post(
            model=self.name,
            endpoint=to,
            key=spec.api_key,
            key_header=("x-api-key", ""),
            key_from="ANTHROPIC_API_KEY" if to.host == _HOST else None,
            headers=spec.headers,
            fixed_headers=_VERSION,
            body=encode(request, spec),
            timeouts=spec.timeouts,
        )
        return exchange(self._client, post, MessageParser(self.name, spec.provider, post.secrets))


# Requests


def encode(request: ModelRequest, spec: ModelSpec) -> dict[str, Any]:
    """The body of a request. The same request always makes the same text, so that prefixes can be cached."""
    max_tokens = spec.max_tokens if request.max_tokens is None else request.max_tokens
    body: dict[str, Any] = {"model": spec.model, "max_tokens": MAX_TOKENS if max_tokens is None else max_tokens}
    if request.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.input_schema)}
            for tool in request.tools
        ]
        body["tools"][-1]["cache_control"] = _CACHED
        if request.tool_choice is not ToolChoice.AUTO:
            body["tool_choice"] = {"type": _CHOICES[request.tool_choice]}
    system = request.system
    if request.output is not None:
        schema = closed(request.output.schema)
        if schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        else:
            told = json.dumps(request.output.schema, ensure_ascii=False)
            system = f"{system}\n\nAnswer with nothing but JSON of this schema: {told}".lstrip()
    if system:
        body["system"] = [{"type": "text", "text": system, "cache_control": _CACHED}]
    body["messages"] = _Conversation(request.messages).turns
    temperature = spec.temperature if request.temperature is None else request.temperature
    if temperature is not None:
        body["temperature"] = temperature
    body["stream"] = True
    return body


class _Conversation:
    """Messages as turns of two roles that alternate, the user's first, none of them empty."""

    def __init__(self, messages: tuple[Message, ...]) -> None:
        self.turns: list[dict[str, Any]] = []
        self._used: set[str] = set()
        self._asked: list[str] = []  # the ids, as they are sent, of the calls of the last answer
        for message in messages:
            match message:
                case UserMessage(text):
                    self._add("user", [{"type": "text", "text": text if text.strip() else "(empty)"}])
                case AssistantMessage(parts):
                    self._asked = []
                    self._add("assistant", [block for part in parts for block in self._blocks(part)])
                case ToolMessage():
                    self._add("user", self._results(message))
        if self.turns:
            last = self.turns[-1]["content"][-1]
            if last["type"] in ("text", "tool_result"):
                last["cache_control"] = _CACHED

    def _add(self, role: str, blocks: list[dict[str, Any]]) -> None:
        if not blocks:
            return
        if not self.turns and role == "assistant":
            self._add("user", [{"type": "text", "text": "(what came before is left out)"}])
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    def _blocks(self, part: Part) -> list[dict[str, Any]]:
        match part:
            case Text(text):
                return [{"type": "text", "text": text}] if text.strip() else []
            case Reasoning(_, None):
                return []
            case Reasoning(text, signature):
                if signature is not None and signature.startswith(_HIDDEN):
                    return [{"type": "redacted_thinking", "data": signature.removeprefix(_HIDDEN)}]
                return [{"type": "thinking", "thinking": text, "signature": signature}]
            case call:
                id = self._id(call.id)
                self._asked.append(id)
                return [{"type": "tool_use", "id": id, "name": call.name, "input": object_of(call.arguments)}]

    def _id(self, id: str) -> str:
        plain = _NOT_IN_IDS.sub("_", id) or "call"
        found, number = plain, 1
        while found in self._used:
            number += 1
            found = f"{plain}_{number}"
        self._used.add(found)
        return found

    def _results(self, message: ToolMessage) -> list[dict[str, Any]]:
        """In the order of the calls, as `mended` has them: their ids are not looked at."""
        blocks: list[dict[str, Any]] = []
        for id, result in zip(self._asked, message.results, strict=False):
            block: dict[str, Any] = {"type": "tool_result", "tool_use_id": id, "content": result.content}
            if result.failed:
                block["content"] = result.content or "It failed and did not say why."
                block["is_error"] = True
            blocks.append(block)
        return blocks


# Answers


@attrs.define
class _Block:
    """A block of the answer that has begun. `call` is its number among the calls, if it is one."""

    kind: str
    call: int | None = None
    input: str = ""  # came at once, with the beginning
    anything: bool = False  # of the arguments came in pieces
    signature: str = ""


class MessageParser(EventParser):
    """One answer, from the events of its stream. Pure."""

    _word = "event of the messages API"

    def __init__(self, model: str, provider: str, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(model, provider, secrets)
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._counted: dict[str, Any] = {}

    def _read(self, found: Mapping[str, Any], event: ServerEvent) -> Iterator[ModelEvent]:
        yield from self._event(as_text(found.get("type")) or event.type, found, event.data)

    def feed_whole(self, body: object) -> Iterator[ModelEvent]:
        """The events in an answer that was not streamed."""
        found = as_object(body)
        if found.get("type") == "error" or "error" in found:
            raise failure_in_stream(self._model, found.get("error"), secrets=self._secrets)
        if not isinstance(found.get("content"), list):
            raise self._nonsense(json.dumps(body))
        self._counts(found)
        for index, block in enumerate(found["content"]):
            yield from self._starts(index, as_object(block))
            yield from self._stops(index)
        self._reason = as_text(found.get("stop_reason")) or "end_turn"
        self._over = True

    def finish(self) -> Finish:
        """How it ended. Raises `BrokenStream` if it has not."""
        if self._reason is None:
            raise BrokenStream(self._model, "the stream ended before the answer did: no stop_reason came")
        reason = _REASONS.get(self._reason, FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP)
        read, written = (as_count(self._counted.get(f"cache_{kind}_input_tokens")) for kind in ("read", "creation"))
        usage = Usage(
            input_tokens=as_count(self._counted.get("input_tokens")) + read + written,
            output_tokens=as_count(self._counted.get("output_tokens")),
            cached_tokens=read,
            cache_writes=written,
            reasoning_tokens=as_count(as_object(self._counted.get("output_tokens_details")).get("thinking_tokens")),
        )
        return Finish(reason, usage, self._answered_by, self._provider)

    def _event(self, kind: str, found: Mapping[str, Any], text: str) -> Iterator[ModelEvent]:
        """Kinds that are not known are passed over: the format says that there will be new ones."""
        match kind:
            case "message_start":
                self._counts(as_object(found.get("message")))
            case "content_block_start":
                yield from self._starts(as_count(found.get("index")), as_object(found.get("content_block")))
            case "content_block_delta":
                block = self._blocks.get(as_count(found.get("index")))
                if block is None:
                    raise self._nonsense(text)
                yield from self._piece(block, as_object(found.get("delta")))
            case "content_block_stop":
                yield from self._stops(as_count(found.get("index")))
            case "message_delta":
                self._counts(found)
                self._reason = as_text(as_object(found.get("delta")).get("stop_reason")) or self._reason
            case "message_stop":
                self._over = True
            case "error":
                raise failure_in_stream(self._model, found.get("error"), secrets=self._secrets)

    def _counts(self, found: Mapping[str, Any]) -> None:
        """Counts are those of the whole answer so far: a later one replaces the earlier, where there is one."""
        self._counted |= {key: value for key, value in as_object(found.get("usage")).items() if value is not None}
        self._answered_by = as_text(found.get("model")) or self._answered_by

    def _starts(self, index: int, found: Mapping[str, Any]) -> Iterator[ModelEvent]:
        block = _Block(as_text(found.get("type")))
        self._blocks[index] = block
        match block.kind:
            case "text":
                if text := as_text(found.get("text")):
                    yield TextDelta(text)
            case "thinking":
                block.signature = as_text(found.get("signature"))
                if text := as_text(found.get("thinking")):
                    yield ReasoningDelta(text)
            case "redacted_thinking":
                yield ReasoningDelta("", _HIDDEN + as_text(found.get("data")))
            case "tool_use":
                block.call = self._calls
                self._calls += 1
                if found.get("input"):
                    block.input = json.dumps(found["input"], ensure_ascii=False)
                yield ToolCallDelta(block.call, as_text(found.get("id")), as_text(found.get("name")))

    def _piece(self, block: _Block, delta: Mapping[str, Any]) -> Iterator[ModelEvent]:
        match as_text(delta.get("type")):
            case "text_delta":
                if text := as_text(delta.get("text")):
                    yield TextDelta(text)
            case "thinking_delta":
                if text := as_text(delta.get("thinking")):
                    yield ReasoningDelta(text)
            case "signature_delta":
                block.signature += as_text(delta.get("signature"))
            case "input_json_delta":
                text = as_text(delta.get("partial_json"))
                if text and block.call is not None:
                    block.anything = True
                    yield ToolCallDelta(block.call, arguments=text)

    def _stops(self, index: int) -> Iterator[ModelEvent]:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block.call is not None and not block.anything:
            yield ToolCallDelta(block.call, arguments=block.input or "{}")
        if block.kind == "thinking" and block.signature:
            yield ReasoningDelta("", block.signature)
