"""What a turn wants done next. Whoever drives it (`_thinking`) does it, and tells it what came of it by records."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from anima.llm import ModelRequest
from anima_tools import Effect, ToolCall

from ._answer import StopReason
from ._records import Told, ToolAnswered


@attrs.frozen
class CallModel:
    """Ask the model. `told` is new in it. `again`: it was asked before, and what came of that is not known.

    `landing`: this is the last call, without tools.
    """

    step: int
    request: ModelRequest
    told: tuple[Told, ...]
    landing: bool
    again: bool


@attrs.frozen
class PendingCall:
    """One call of a tool that has no result yet. `begun`: it was begun before, and what came of that is not known."""

    step: int
    call: ToolCall
    key: str
    effect: Effect
    begun: bool


@attrs.frozen
class CallTools:
    """Run these calls; record the results of those that are refused."""

    run: tuple[PendingCall, ...]
    refused: tuple[ToolAnswered, ...]


@attrs.frozen
class Compact:
    """Summarize the first `messages` messages of the conversation by `request`; none: only shorten tool results."""

    step: int
    messages: int
    request: ModelRequest | None


@attrs.frozen
class End:
    """The turn is over."""

    stop_reason: StopReason
    text: str
    error: str | None = None


Action: TypeAlias = CallModel | CallTools | Compact | End
