"""Models: one protocol for all of them, `stream(request) -> events`, over httpx and without any vendor's package.

From the bottom up:

- `_messages`, `_request`, `_errors`, `_spec`: conversations, requests, events, what can go wrong, which model is meant
- `_assembly`: one answer, put together from events
- `_sse`, `_json`, `_schemas`, `_failures`: what servers take and send, read without trust; pure
- `_stream`: what the parsers of both wire formats have in common
- `_post`, `_client`, `_wire`: one request and the events of its answer, over httpx, each wait with its deadline
- `_openai`, `_anthropic`: a wire format each: a pure encoder, a pure parser, the model made of both and of `_wire`
- `_scripted`, `_script_file`: a model that answers from a script (see `anima.testing`)
- `_incidents`, `_limits`, `_resilient`, `_fallback`: what stands between a request and its answer
- `_json_string`, `_actions`, `_structured`: tools for servers that do not enforce them
- `_cassette`, `_replay`: answers that were recorded, and come again
- `_prices`: what tokens cost
- `_over_http`, `_local_server`, `_local`: one client for all, and a real model in a process of its own
- `_models`: models from specs, and what they share; start with `open_models`

Importing it imports no HTTP client: that comes with the first request.
"""

from ._anthropic import AnthropicModel
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
from ._fallback import FallbackModel
from ._incidents import CircuitClosed, CircuitOpened, FallingBack, Incident, IncidentHook, Retrying
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
from ._models import PROVIDERS, Models, Provider, complete, open_models
from ._openai import OpenAIModel
from ._prices import FREE, PRICES, Price, cost, price_of
from ._redaction import HIDDEN, SHORTEST, redacted
from ._replay import RecordingModel, ReplayModel
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
from ._resilient import ResilientModel
from ._script_file import load_script
from ._spec import ModelSpec, Retry, Secret, Timeouts, ToolProtocol
from ._structured import StructuredTools

__all__ = [
    "FREE",
    "HIDDEN",
    "NO_RESULT",
    "PRICES",
    "PROVIDERS",
    "SHORTEST",
    "AnthropicModel",
    "Assembly",
    "AssistantMessage",
    "BadKey",
    "BadRequest",
    "BrokenStream",
    "CassetteMiss",
    "CircuitClosed",
    "CircuitOpen",
    "CircuitOpened",
    "ContextOverflow",
    "FallbackModel",
    "FallingBack",
    "Finish",
    "FinishReason",
    "Incident",
    "IncidentHook",
    "Message",
    "Model",
    "ModelAnswer",
    "ModelError",
    "ModelEvent",
    "ModelRequest",
    "ModelSpec",
    "ModelTimeout",
    "Models",
    "NetworkFailed",
    "OpenAIModel",
    "OutputSchema",
    "Part",
    "Price",
    "Provider",
    "QuotaExceeded",
    "RateLimited",
    "Reasoning",
    "ReasoningDelta",
    "RecordingModel",
    "ReplayModel",
    "Reset",
    "ResilientModel",
    "Retry",
    "Retrying",
    "Secret",
    "ServerFailed",
    "StructuredTools",
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
    "complete",
    "cost",
    "load_script",
    "make_client",
    "mended",
    "open_client",
    "open_models",
    "price_of",
    "redacted",
]
