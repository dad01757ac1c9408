"""What happens in a turn, as facts: the journal of a turn is a list of these, and its state is what follows from them.

Each step is recorded before it acts (`ModelCalled`, `ToolCalled`) and after (`ModelAnswered` or `ModelFailed`,
`ToolAnswered`). A record holds what is new with it, never the whole prompt. `seconds` is the time spent on the turn so
far: time in which no program works on it does not count.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from anima.llm import AssistantMessage, Finish
from anima_tools import Effect, ToolResult

from ._answer import StopReason


class Why(enum.Enum):
    """Why the model is told something."""

    TASK = "task"
    NOTE = "note"  #: from another agent, a topic or a timer; `about` is who
    MEMORY = "memory"  #: what the agent remembers of this
    NEAR = "near"  #: a limit is near; `about` is which
    LAND = "land"  #: the last answer is wanted; `about` is the stop reason
    CORRECTION = "correction"  #: the answer was of no use
    REFLECTION = "reflection"  #: the answer is to be looked at again


@attrs.frozen
class Told:
    """Something that the model is told from our side, word by word. `id` is that of the letter, if it is one."""

    why: Why
    text: str
    about: str = ""
    id: str = ""


@attrs.frozen(kw_only=True)
class TurnBegan:
    """A task was taken. `agent` is the path of who took it, `sender` of who gave it, if that is an actor.

    With `remember` it goes into the memory of the agent when it has ended.
    """

    task: str
    conversation: str
    agent: str = ""
    sender: str = ""
    remember: bool = False
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class ModelCalled:
    """The model is about to be asked. `told` comes on top of all that was said before."""

    step: int
    told: tuple[Told, ...] = ()
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class ModelAnswered:
    """The model has answered. `cost` is in US dollars, None where the price is not known."""

    step: int
    message: AssistantMessage
    finish: Finish
    cost: float | None = None
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class ModelFailed:
    """The model could not answer: `error` is the name of the class, `partial` what came of the answer."""

    step: int
    error: str
    text: str
    partial: str = ""
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class ToolCalled:
    """A tool is about to be run. `key` is the idempotency key of this step, the same whenever it is tried again."""

    step: int
    tool: str
    key: str
    effect: Effect
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class ToolAnswered:
    """A call has its result; without a `ToolCalled` before, the call was refused and nothing was run."""

    step: int
    result: ToolResult
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class Compacted:
    """Of the conversation before this turn the first `messages` messages were replaced by `summary`.

    With `clipped` the results of tools in this turn are shortened from now on.
    """

    step: int
    messages: int
    summary: str
    clipped: bool = False
    finish: Finish | None = None
    cost: float | None = 0.0
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class TurnEnded:
    """The turn is over."""

    stop_reason: StopReason
    text: str
    error: str | None = None
    seconds: float = 0.0


Record: TypeAlias = (
    TurnBegan | ModelCalled | ModelAnswered | ModelFailed | ToolCalled | ToolAnswered | Compacted | TurnEnded
)
