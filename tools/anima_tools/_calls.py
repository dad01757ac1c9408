"""A model's request for a tool, the answer to it, and what is told to the model about tools."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs


class Effect(enum.Enum):
    """What it means to run the same call twice: it decides what is done about a call whose outcome was lost."""

    PURE = "pure"  #: it changes nothing: run it again whenever you like
    IDEMPOTENT = "idempotent"  #: with the same arguments and key, twice is as good as once
    EXTERNAL = "external"  #: twice is not once: a mail, a payment, any command


@attrs.frozen
class ToolCall:
    """One request of a model. `arguments` is JSON text, as the model wrote it; nothing about it is checked yet."""

    id: str
    name: str
    arguments: str


@attrs.frozen
class ToolResult:
    """The answer to a call: what the tool returned, or, with `failed`, the text of an error.

    `handle` says where the whole text is kept when `content` is shortened: `read_file` takes it for a path.
    """

    id: str
    name: str
    content: str
    failed: bool = False
    handle: str | None = None


@attrs.frozen
class Arguments:
    """Arguments that fit the schema of their tool."""

    #: by parameter, as the types of the function's parameters; what was left out, is left out here
    values: Mapping[str, Any] = attrs.field(factory=dict)
    #: JSON, with sorted keys and without white space: equal for calls that ask for the same
    canonical: str = "{}"


@attrs.frozen
class ToolSpec:
    """What a model is told about a tool."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
