"""What a model asks of a tool, and what it gets: frozen data."""

from __future__ import annotations

import attrs


@attrs.frozen
class ToolCall:
    """One request of a model. `arguments` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@attrs.frozen
class ToolResult:
    """The answer to a call: its content, or, where it `failed`, what went wrong.

    `handle` says where the whole text is when `content` is shortened.
    """

    id: str
    name: str
    content: str
    failed: bool = False
    handle: str | None = None
