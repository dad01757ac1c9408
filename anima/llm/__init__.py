"""Models: one protocol for all of them, `stream(request) -> events`, over httpx and without any vendor's package.

From the bottom up:

- `_messages`, `_request`, `_errors`, `_spec`: conversations, requests, events, what can go wrong, which model is meant
- `_assembly`: one answer, put together from events
"""

from ._assembly import Assembly, ModelAnswer
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
    "mended",
]
