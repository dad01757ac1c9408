"""Turns played without any I/O: a model and tools that are functions, and the records that come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from anima.agents._actions import Action, CallModel, CallTools, Compact, End
from anima.agents._records import (
    Compacted,
    ModelAnswered,
    ModelCalled,
    ModelFailed,
    Record,
    Told,
    ToolAnswered,
    ToolCalled,
    TurnBegan,
    TurnEnded,
)
from anima.agents._state import Plan
from anima.agents._turn import Turn
from anima.llm import AssistantMessage, Finish, FinishReason, Message, ModelRequest, Text, Usage
from anima_tools import Effect, Toolbox, ToolCall, ToolResult, tool

USAGE = Usage(input_tokens=10, output_tokens=5)


@tool(effect=Effect.PURE)
def look(what: str) -> str:
    """Look at something."""
    return what


@tool(effect=Effect.IDEMPOTENT)
def put(what: str) -> str:
    """Put something somewhere."""
    return what


@tool
def send(what: str) -> str:
    """Send something away."""
    return what


TOOLS = Toolbox([look, put, send])


@attrs.frozen
class Says:
    """An answer of the model."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: FinishReason = FinishReason.STOP


@attrs.frozen
class Fails:
    """The model cannot answer."""

    error: str = "ServerFailed"
    partial: str = ""


Reply = Says | Fails


def call(name: str, what: object = "it", id: str = "1") -> ToolCall:
    import json

    return ToolCall(id, name, json.dumps({"what": what}))


def began(plan: Plan | None = None, task: str = "the task", history: Sequence[Message] = ()) -> Turn:
    turn = Turn("t1", plan or Plan(toolbox=TOOLS), history)
    turn.apply(TurnBegan(task=task, conversation="main"))
    return turn


def model_records(action: CallModel, reply: Reply, seconds: float = 0.0) -> list[Record]:
    """What is recorded of a call of the model."""
    records: list[Record] = [] if action.again else [ModelCalled(step=action.step, told=action.told, seconds=seconds)]
    if isinstance(reply, Fails):
        failed = ModelFailed(step=action.step, error=reply.error, text="broken", partial=reply.partial, seconds=seconds)
        return [*records, failed]
    parts = (*((Text(reply.text),) if reply.text else ()), *reply.calls)
    message = AssistantMessage(parts)
    answered = ModelAnswered(
        step=action.step, message=message, finish=Finish(reply.finish, USAGE), cost=0.01, seconds=seconds
    )
    return [*records, answered]


def tool_records(action: CallTools, result: Callable[[ToolCall], str]) -> list[Record]:
    """What is recorded of calls of tools, each with its intent first."""
    records: list[Record] = list(action.refused)
    for one in action.run:
        if not one.begun:
            records.append(ToolCalled(step=one.step, tool=one.call.name, key=one.key, effect=one.effect))
    for one in action.run:
        answer = ToolResult(one.call.id, one.call.name, result(one.call))
        records.append(ToolAnswered(step=one.step, result=answer))
    return records


def records_of(
    action: Action, model: Callable[[ModelRequest], Reply], result: Callable[[ToolCall], str], seconds: float = 0.0
) -> list[Record]:
    """What comes of an action."""
    match action:
        case CallModel():
            return model_records(action, model(action.request), seconds)
        case CallTools():
            return tool_records(action, result)
        case Compact():
            clipped = action.request is None
            return [Compacted(step=action.step, messages=action.messages, summary="in short", clipped=clipped)]
        case End():
            return [TurnEnded(stop_reason=action.stop_reason, text=action.text, error=action.error)]


def play(
    turn: Turn,
    model: Callable[[ModelRequest], Reply] | Sequence[Reply],
    result: Callable[[ToolCall], str] = lambda call: f"{call.name} done",
    notes: Callable[[], list[Told]] = list,
    seconds_a_step: float = 0.0,
) -> tuple[End, list[Record], list[Action]]:
    """Play a turn to its end."""
    if not callable(model):
        replies = iter(model)

        def model(_: ModelRequest) -> Reply:
            return next(replies)

    done: list[Record] = []
    actions: list[Action] = []
    while True:
        action = turn.next(notes(), turn.seconds)
        actions.append(action)
        assert len(actions) < 500, "the turn does not end"
        records = records_of(action, model, result, turn.seconds + seconds_a_step)
        for record in records:
            turn.apply(record)
        done += records
        if isinstance(action, End):
            return action, done, actions
