"""How a turn ends: always with a reason, and with whatever answer there is."""

from __future__ import annotations

import enum

import attrs

from anima.actors import message
from anima.llm import Usage


class StopReason(enum.Enum):
    """Why a turn ended."""

    END_TURN = "end_turn"  #: with its answer
    MAX_TURNS = "max_turns"  #: so many calls of the model were allowed
    MAX_TOKENS = "max_tokens"  #: the answer was longer than one answer may be
    BUDGET_TOKENS = "budget_tokens"
    BUDGET_COST = "budget_cost"
    BUDGET_TIME = "budget_time"
    BUDGET_CALLS = "budget_calls"
    REPEAT_DETECTED = "repeat_detected"  #: it did the same again and again
    CANCELLED = "cancelled"  #: somebody interrupted it
    AWAITING_APPROVAL = "awaiting_approval"  #: a person has to decide first
    IN_DOUBT = "in_doubt"  #: it is not known whether a step took effect
    LLM_ERROR = "llm_error"  #: the model could not answer
    TOOL_ERROR = "tool_error"  #: its tools could not be used
    INVALID_RESPONSE = "invalid_response"  #: the model's answers were of no use, also when told so
    CONTEXT_OVERFLOW = "context_overflow"  #: the task is longer than the model can read
    SUPERVISOR_SHUTDOWN = "supervisor_shutdown"  #: its tree was stopped

    @property
    def at_a_limit(self) -> bool:
        """It was stopped by a limit; what is there is the best answer by then."""
        return self in _LIMITS


_LIMITS = {
    StopReason.MAX_TURNS,
    StopReason.MAX_TOKENS,
    StopReason.BUDGET_TOKENS,
    StopReason.BUDGET_COST,
    StopReason.BUDGET_TIME,
    StopReason.BUDGET_CALLS,
    StopReason.REPEAT_DETECTED,
}


@message
class Answer:
    """What came of a task. `turn` is its id; `cost` is in US dollars, None where no price is known.

    `output` is the validated object where the agent has an output class and the answer was one. `error` says what went
    wrong where something did. `seconds` is the time that was spent on it.
    """

    turn: str
    text: str
    stop_reason: StopReason
    usage: Usage = Usage()
    cost: float | None = 0.0
    steps: int = 0
    seconds: float = 0.0
    output: object = None
    error: str | None = None

    @property
    def complete(self) -> bool:
        """The agent ended by itself, with its answer."""
        return self.stop_reason is StopReason.END_TURN


@attrs.frozen(kw_only=True)
class Spent:
    """What was used, of a turn or by an agent. `cost` is in US dollars, of the calls whose price is known."""

    turns: int = 0
    tokens: int = 0
    cost: float = 0.0
    calls: int = 0
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(**{name: value + getattr(other, name) for name, value in attrs.asdict(self).items()})

    def __sub__(self, other: Spent) -> Spent:
        return Spent(**{name: value - getattr(other, name) for name, value in attrs.asdict(self).items()})
