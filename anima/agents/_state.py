"""What is known of a turn: the sum of its records, and nothing else. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

import attrs

from anima.llm import (
    AssistantMessage,
    FinishReason,
    Message,
    Text,
    ToolMessage,
    Usage,
    UserMessage,
)
from anima_tools import Toolbox, ToolCall, ToolResult

from . import _said as said
from ._answer import Spent, StopReason
from ._limits import Limits
from ._output import Output
from ._records import (
    Compacted,
    ModelAnswered,
    ModelCalled,
    ModelFailed,
    Record,
    ToolAnswered,
    ToolCalled,
    TurnBegan,
    TurnEnded,
    Why,
)


@attrs.frozen(kw_only=True)
class Plan:
    """How a turn is to go: what stays the same while it lasts."""

    system: str = ""
    toolbox: Toolbox = attrs.field(factory=lambda: Toolbox(()))
    limits: Limits = Limits()
    output: Output | None = None
    reflection: bool = False
    #: the same call with the same result so many times in a row ends the turn; 0: never
    repeat_limit: int = 3
    #: so many answers that are of no use are sent back
    corrections: int = 2
    #: the conversation before the turn is compacted when it is longer than half of this
    context_tokens: int = 32_000


@attrs.define
class OpenCall:
    """A call of the last answer."""

    call: ToolCall
    called: ToolCalled | None = None
    result: ToolResult | None = None


class TurnState:
    """What is known of one turn. `id` goes into the idempotency keys of its steps."""

    def __init__(self, id: str, plan: Plan, history: Sequence[Message] = ()) -> None:
        self.id = id
        self.plan = plan
        #: the conversation before this turn, and what this turn adds to it
        self.history: tuple[Message, ...] = tuple(history)
        self.messages: list[Message] = []
        self.began: TurnBegan | None = None
        self.ended: TurnEnded | None = None
        self.usage = Usage()
        self.cost: float | None = 0.0
        #: of those calls whose price is known
        self._known_cost = 0.0
        self.seconds = 0.0
        self.steps = 0
        self._answers = 0
        self._tool_calls = 0
        #: what the model has said last
        self.text = ""
        self._asked: ModelCalled | None = None
        self._failed: ModelFailed | None = None
        self._finish: FinishReason | None = None
        self._open: dict[int, OpenCall] = {}
        self._compacted = 0
        self._clipped = False
        self._warned: set[str] = set()
        self._counts: Counter[Why] = Counter()
        self._landing: StopReason | None = None
        #: of each call, its last result and how many times in a row it was that one
        self._repeats: dict[tuple[str, str], tuple[str, int]] = {}
        self._counted: set[tuple[str, str]] = set()

    @property
    def in_doubt(self) -> Mapping[int, ToolCall]:
        """The calls that were begun and have no result, by their steps: as long as nobody runs them."""
        return {step: one.call for step, one in self._open.items() if one.called is not None and one.result is None}

    def apply(self, record: Record) -> None:
        """Take a fact in."""
        self.seconds = max(self.seconds, record.seconds)
        match record:
            case TurnBegan():
                self.began = record
            case ModelCalled():
                self._model_called(record)
            case ModelAnswered():
                self._model_answered(record)
            case ModelFailed():
                self._asked, self._failed = None, record
                self.text = record.partial or self.text
            case ToolCalled():
                self.steps = max(self.steps, record.step)
                self._tool_calls += 1
                self._open[record.step].called = record
            case ToolAnswered():
                self._tool_answered(record)
            case Compacted():
                self._compact(record)
            case TurnEnded():
                self._end_of_it(record)

    def _model_called(self, record: ModelCalled) -> None:
        self._asked, self._failed, self._finish = record, None, None
        self.steps = max(self.steps, record.step)
        for told in record.told:
            self._counts[told.why] += 1
            if told.why is Why.NEAR:
                self._warned.add(told.about)
            elif told.why is Why.LAND:
                self._landing = StopReason(told.about)
        if record.told:
            self.messages.append(UserMessage(said.as_message(record.told)))

    def _model_answered(self, record: ModelAnswered) -> None:
        message = record.message
        if self._landing is not None:  # it was told that there are no tools any more
            message = AssistantMessage(tuple(part for part in message.parts if not isinstance(part, ToolCall)))
        self._asked = None
        self._answers += 1
        self._finish = record.finish.reason
        self._count(record.finish.usage, record.cost)
        self.text = message.text or self.text
        self.messages.append(message)
        self._counted.clear()
        self._open = {record.step + n: OpenCall(call) for n, call in enumerate(message.calls, 1)}
        self.steps = max(self.steps, record.step + len(self._open))

    def _count(self, usage: Usage, cost: float | None) -> None:
        self.usage += usage
        self._known_cost += cost or 0.0
        self.cost = None if self.cost is None or cost is None else self.cost + cost

    def _tool_answered(self, record: ToolAnswered) -> None:
        open = self._open[record.step]
        open.result = record.result
        key = open.call.name, canonical(open.call.arguments)
        if key not in self._counted:  # several at once are no repetition
            self._counted.add(key)
            last, times = self._repeats.get(key, ("", 0))
            self._repeats[key] = record.result.content, times + 1 if record.result.content == last else 1
        results = [one.result for one in self._open.values()]
        if all(result is not None for result in results):
            self.messages.append(ToolMessage(tuple(result for result in results if result is not None)))
            self._open = {}

    def _compact(self, record: Compacted) -> None:
        self.steps = max(self.steps, record.step)
        self._failed = None
        self._compacted += 1
        if record.messages:
            self.history = (UserMessage(said.summary(record.summary)), *self.history[record.messages :])
        self._clipped = self._clipped or record.clipped
        if record.finish is not None:
            self._count(record.finish.usage, record.cost)

    def _end_of_it(self, record: TurnEnded) -> None:
        self.ended = record
        said_before = any(isinstance(one, AssistantMessage) and one.text == record.text for one in self.messages)
        if record.text and not said_before:  # an answer that was cut off is part of the conversation all the same
            self.messages.append(AssistantMessage((Text(record.text),)))

    @property
    def spent(self) -> Spent:
        """What was used so far."""
        return Spent(
            turns=self._answers,
            tokens=self.usage.total_tokens,
            cost=self._known_cost,
            calls=self._tool_calls,
            seconds=self.seconds,
        )


def canonical(arguments: str) -> str:
    """Arguments in one spelling, so that what means the same is the same."""
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):  # no JSON, or nested without end
        return arguments
