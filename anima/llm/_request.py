"""What is asked of a model, and what it answers: a stream of events that ends with one `Finish`."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol, TypeAlias

import attrs

from anima_tools import ToolSpec as ToolSpec

from ._messages import Message


class ToolChoice(enum.Enum):
    """Whether the model may call tools. `NONE`: they stay in the request, so that a cached prefix stays valid."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@attrs.frozen
class OutputSchema:
    """The answer has to be JSON of this schema."""

    name: str
    schema: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class ModelRequest:
    """One call of a model. `messages` are mended already (`mended`). None: what the model's spec says."""

    messages: tuple[Message, ...] = attrs.field(converter=tuple[Message, ...])
    system: str = ""
    tools: tuple[ToolSpec, ...] = attrs.field(default=(), converter=tuple[ToolSpec, ...])
    tool_choice: ToolChoice = ToolChoice.AUTO
    output: OutputSchema | None = None
    max_tokens: int | None = None
    temperature: float | None = None


@attrs.frozen
class Usage:
    """Tokens that were counted by the provider. `cached_tokens`, read from its cache, are among the `input_tokens`,
    and so are `cache_writes`; `reasoning_tokens` are among the `output_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_writes: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        mine, theirs = attrs.astuple(self), attrs.astuple(other)
        return Usage(*(a + b for a, b in zip(mine, theirs, strict=True)))

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class FinishReason(enum.Enum):
    """Why the model stopped. `FILTERED`: it, or its provider, refused."""

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    FILTERED = "filtered"


@attrs.frozen
class TextDelta:
    """The next piece of what the model says."""

    text: str


@attrs.frozen
class ReasoningDelta:
    """The next piece of what it thinks; with a `signature` the block is over."""

    text: str
    signature: str | None = None


@attrs.frozen
class ToolCallDelta:
    """The next piece of a call. `index` says of which; `id` and `name` come whole, with the first piece of it."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@attrs.frozen
class Reset:
    """The stream broke and begins again from nothing: what came so far is void. `why` is for people."""

    why: str


@attrs.frozen
class Finish:
    """The last event. `model` is what the provider says has answered, `provider` whom we asked."""

    reason: FinishReason
    usage: Usage = Usage()
    model: str = ""
    provider: str = ""


ModelEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Reset | Finish


class Model(Protocol):
    """Something that answers. All models are this: providers, those that retry, those that fall back, scripts."""

    @property
    def name(self) -> str:
        """`provider:model`, for people and records."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Ask. Close it (`contextlib.aclosing`) when it is not read to its end: that ends the request.

        Waits no longer than the model's timeouts. The last event is a `Finish`; whatever ends it before raises
        `ModelError`. A cancellation closes the connection.
        """
