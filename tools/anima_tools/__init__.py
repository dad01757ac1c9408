"""Tools for agents: typed functions that a model may call.

From the bottom up; each module imports only from those above it in this list:

- `_errors`: what can go wrong, and whose fault it is
- `_calls`: a request, its answer, what a model is told
- `_environment`, `_invocation`: what a running tool may touch
- `_docstring`, `_schema`, `_signature`: from a function to its JSON schema, from JSON to its arguments
- `_output`: results that fit
- `_tool`, `_toolbox`, `_found`: what users hold in their hands
- `builtin`: the tools that come with it, found like everybody's

It knows no actor, no model and no journal. Start with `tool` and `Toolbox`.
"""

from ._calls import Arguments, Effect, ToolCall, ToolResult, ToolSpec
from ._environment import child_environment
from ._errors import (
    AddressRefused,
    BadArguments,
    BadCommand,
    BadEdit,
    BadFile,
    BadRequest,
    BadTool,
    HttpFailed,
    OutsideRoot,
    ToolError,
    ToolTimeout,
    UnknownTool,
)
from ._found import find_tools
from ._invocation import Invocation, Workspace
from ._tool import Tool, tool
from ._toolbox import Toolbox

__all__ = [
    "AddressRefused",
    "Arguments",
    "BadArguments",
    "BadCommand",
    "BadEdit",
    "BadFile",
    "BadRequest",
    "BadTool",
    "Effect",
    "HttpFailed",
    "Invocation",
    "OutsideRoot",
    "Tool",
    "ToolCall",
    "ToolError",
    "ToolResult",
    "ToolSpec",
    "ToolTimeout",
    "Toolbox",
    "UnknownTool",
    "Workspace",
    "child_environment",
    "find_tools",
    "tool",
]
