"""What happens while an agent thinks: for whoever listens to one turn, and for the tree's hook.

A listener (`Task.listener`) is told everything, with its content. The hook is told facts and figures only: prompts and
answers are nobody's who reads a log.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import attrs

from anima.actors import message
from anima.llm import CircuitClosed, CircuitOpened, FallingBack, Incident, Retrying, Usage
from anima_supervisors import Event

from ._answer import Answer


@message
class TurnStarted:
    """An agent takes up a task; `resumed` where it goes on with one."""

    turn: str
    agent: str
    resumed: bool = False


@message
class ModelAsked:
    """The model is asked: step `step` of the turn. `model` is `provider:model`."""

    turn: str
    step: int
    model: str


@message
class TextStreamed:
    """The next piece of what the model says."""

    turn: str
    text: str


@message
class ReasoningStreamed:
    """The next piece of what it thinks."""

    turn: str
    text: str


@message
class TextReset:
    """What was streamed in this step is void: it comes again."""

    turn: str
    why: str


@message
class ModelReplied:
    """The model has answered. `final`: it called no tool. `seconds` from asking to the end of the answer."""

    turn: str
    step: int
    model: str
    usage: Usage
    cost: float | None
    seconds: float
    final: bool


@message
class ModelErred:
    """The model could not answer; or not at once, and then `again` says what is done about it."""

    turn: str
    error: str
    again: str = ""


@message
class ToolBegun:
    """A tool is run with these arguments, JSON."""

    turn: str
    step: int
    tool: str
    arguments: str


@message
class ToolDone:
    """A call has its result; `failed` if that is an error."""

    turn: str
    step: int
    tool: str
    failed: bool
    content: str
    seconds: float


@message
class TurnDone:
    """The turn is over: nothing more comes of it."""

    turn: str
    answer: Answer


TurnEvent: TypeAlias = (
    TurnStarted
    | ModelAsked
    | TextStreamed
    | ReasoningStreamed
    | TextReset
    | ModelReplied
    | ModelErred
    | ToolBegun
    | ToolDone
    | TurnDone
)
TURN_EVENTS: tuple[type, ...] = (
    TurnStarted,
    ModelAsked,
    TextStreamed,
    ReasoningStreamed,
    TextReset,
    ModelReplied,
    ModelErred,
    ToolBegun,
    ToolDone,
    TurnDone,
)


@attrs.frozen(kw_only=True)
class AgentTurnBegan(Event):
    """An agent takes up a task, or goes on with one."""

    name: ClassVar[str] = "turn.began"
    turn: str
    resumed: bool


@attrs.frozen(kw_only=True)
class AgentModelCalled(Event):
    """A model has answered, or (`error`) could not."""

    name: ClassVar[str] = "turn.model"
    turn: str
    step: int
    model: str
    seconds: float
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None
    error: str | None = None


@attrs.frozen(kw_only=True)
class AgentModelTrouble(Event):
    """A model is asked again, another one instead of it, or it is left alone for a while: `what` says which."""

    name: ClassVar[str] = "model.trouble"
    model: str
    what: str


@attrs.frozen(kw_only=True)
class AgentTurnWaits(Event):
    """A turn is put aside until a person has answered `question`."""

    name: ClassVar[str] = "turn.waits"
    turn: str
    question: str


@attrs.frozen(kw_only=True)
class AgentMemoryTrouble(Event):
    """A memory could not be used: `what` says what was left out."""

    name: ClassVar[str] = "memory.trouble"
    what: str


@attrs.frozen(kw_only=True)
class AgentToolCalled(Event):
    """A tool was run, or refused."""

    name: ClassVar[str] = "turn.tool"
    turn: str
    step: int
    tool: str
    seconds: float
    failed: bool


@attrs.frozen(kw_only=True)
class AgentTurnEnded(Event):
    """A turn is over."""

    name: ClassVar[str] = "turn.ended"
    turn: str
    stop_reason: str
    steps: int
    seconds: float
    input_tokens: int
    output_tokens: int
    cost: float | None
    error: str | None = None


def agent_events() -> dict[str, type[Event]]:
    """The kinds of events that agents add, by their names."""
    kinds: tuple[type[Event], ...] = (
        AgentTurnBegan,
        AgentModelCalled,
        AgentModelTrouble,
        AgentMemoryTrouble,
        AgentToolCalled,
        AgentTurnEnded,
    )
    return {kind.name: kind for kind in kinds}


def incident_words(incident: Incident) -> tuple[str, str]:
    """What is done, and the error that it is done about."""
    match incident:
        case Retrying(_, error, delay, attempt):
            return f"attempt {attempt} in {delay:.1f} s", str(error)
        case FallingBack(_, error, to):
            return f"{to} is asked instead", str(error)
        case CircuitOpened(_, failures, seconds):
            return f"failed {failures} times in a row; it is left alone for {seconds:.0f} s", ""
        case CircuitClosed():
            return "it answers again", ""
