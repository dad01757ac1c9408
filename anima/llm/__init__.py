"""Models: one protocol for all of them, `stream(request) -> events`, over httpx and without any vendor's package.

From the bottom up:

- `_messages`, `_request`, `_errors`, `_spec`: conversations, requests, events, what can go wrong, which model is meant
- `_assembly`: one answer, put together from events
- `_sse`, `_json`, `_failures`: what servers send, read without trust; pure
- `_post`, `_client`, `_wire`: one request and the events of its answer, over httpx, each wait with its deadline
- `_openai`: a wire format: a pure encoder, a pure parser, and the model that is made of both and of `_wire`

httpx is imported when it is needed: commands that ask no model start without it.
"""

from ._assembly import Assembly, ModelAnswer
from ._client import make_client, open_client
from ._errors import (
    BadKey,
    BadRequest,
    BrokenStream,
    CassetteMiss,
    CircuitOpen,
    ContextOverflow,
    ModelError,
    ModelTimeout,
    NetworkFailed,
    QuotaExceeded,
    RateLimited,
    ServerFailed,
)
from ._messages import (
    NO_RESULT,
    AssistantMessage,
    Message,
    Part,
    Reasoning,
    Text,
    ToolMessage,
    UserMessage,
    mended,
)
from ._openai import OpenAIModel
from ._request import (
    Finish,
    FinishReason,
    Model,
    ModelEvent,
    ModelRequest,
    OutputSchema,
    ReasoningDelta,
    Reset,
    TextDelta,
    ToolCallDelta,
    ToolChoice,
    ToolSpec,
    Usage,
)
from ._spec import ModelSpec, Retry, Secret, Timeouts, ToolProtocol

__all__ = [
    "NO_RESULT",
    "Assembly",
    "AssistantMessage",
    "BadKey",
    "BadRequest",
    "BrokenStream",
    "CassetteMiss",
    "CircuitOpen",
    "ContextOverflow",
    "Finish",
    "FinishReason",
    "Message",
    "Model",
    "ModelAnswer",
    "ModelError",
    "ModelEvent",
    "ModelRequest",
    "ModelSpec",
    "ModelTimeout",
    "NetworkFailed",
    "OpenAIModel",
    "OutputSchema",
    "Part",
    "QuotaExceeded",
    "RateLimited",
    "Reasoning",
    "ReasoningDelta",
    "Reset",
    "Retry",
    "Secret",
    "ServerFailed",
    "Text",
    "TextDelta",
    "Timeouts",
    "ToolCallDelta",
    "ToolChoice",
    "ToolMessage",
    "ToolProtocol",
    "ToolSpec",
    "Usage",
    "UserMessage",
    "make_client",
    "mended",
    "open_client",
]
