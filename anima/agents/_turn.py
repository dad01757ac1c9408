"""A turn as a state machine without I/O: facts in, the next action out.

Its state is what follows from its records, so that the journal of a turn is all that is needed to go on with it:
`apply` takes a record, whether it has just come about or was read back, and `next` says what is to be done. Invariants,
guarded by tests/anima/agents/test_turn.py:
- the same records lead to the same next action, however often the turn was put down and taken up
- every request is whole: each call of a tool in it has its result
- whatever comes, it ends, with one stop reason and whatever text there is
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from anima.llm import (
    AssistantMessage,
    FinishReason,
    ModelRequest,
    ToolChoice,
    UserMessage,
    mended,
)
from anima_tools import Effect, ToolCall, ToolError, ToolResult

from . import _said as said
from ._actions import Action, CallModel, CallTools, Compact, End, PendingCall
from ._answer import StopReason
from ._budgets import Account
from ._context import clipped, cut, estimated_tokens
from ._output import BadOutput
from ._records import (
    ModelFailed,
    Told,
    ToolAnswered,
    Why,
)
from ._state import OpenCall, TurnState, canonical


class Turn(TurnState):
    """One task on its way to its answer."""

    @property
    def output(self) -> object:
        """What the answer of the turn was validated to, where it has to be of a class, and is."""
        if self.plan.output is None or self.ended is None:
            return None
        try:
            return self.plan.output.check(self.ended.text)
        except BadOutput:
            return None

    def next(self, notes: Sequence[Told] = (), seconds: float = 0.0, account: Account | None = None) -> Action:
        """What is to be done now; the same until a record says that it was.

        `notes` is what has come for the agent meanwhile, `seconds` how long the turn has taken so far. A note is used
        up if it is among the `told` of the action. `account` is what it shares with others: where that has no room for
        what the action needs and for a last answer after it, that answer is asked for now.
        """
        action = self._next(notes, seconds)
        match action:
            case CallModel(again=False) if account is not None:
                return self._within(account, action)
            case Compact(request=ModelRequest() as request) if account is not None:
                need = account.need(request)
                reason = account.reached(need, calls=False)
                return action if reason is None else self._end(reason, error=account.why(need))
        return action

    def _within(self, account: Account, action: CallModel) -> Action:
        if not action.landing:
            need = account.need(action.request)
            reason = account.reached(need + need)
            if reason is None:
                near = [said.near_together(*one) for one in account.near() if one[0] not in self._warned]
                return self._call_model(action.step, (*action.told, *near)) if near else action
            told = [one for one in action.told if one.why is not Why.TASK]
            if self._calls_nothing() and not any(one.why is Why.CORRECTION for one in told):
                return End(StopReason.END_TURN, self.text)  # it was only to be looked at once more
            action = self._land(reason, told)
        need = account.need(action.request)
        reason = account.reached(need, calls=False)
        return action if reason is None else self._end(reason, error=account.why(need))

    def _next(self, notes: Sequence[Told], seconds: float) -> Action:
        self.seconds = max(self.seconds, seconds)
        if self._asked is not None:
            return self._call_model(self._asked.step, (), again=True)
        if self._open:
            return self._call_tools()
        if self._failed is not None:
            return self._after_failure(self._failed)
        if self._calls_nothing():
            return self._after_answer(notes)
        if self._answers == 0 and self._compacted == 0:
            too_long = cut(self.history, self.plan.context_tokens // 4)
            if too_long and estimated_tokens(self.history) > self.plan.context_tokens // 2:
                return self._compaction(too_long)
        return self._go_on(notes)

    def _calls_nothing(self) -> bool:
        """What came last is an answer without calls, whatever its provider calls that."""
        return self._finish is not None and isinstance(self.messages[-1], AssistantMessage)

    def _go_on(self, notes: Sequence[Told], *first: Told) -> Action:
        """Ask the model, unless a limit is reached: then for the last time."""
        reason = self._reached()
        if reason is not None:
            return self._land(reason, notes)
        near = self.plan.limits.near(self.spent)
        warnings = [said.near(name, words) for name, words in near.items() if name not in self._warned]
        return self._call_model(self.steps + 1, (*self._task(), *notes, *first, *warnings))

    def _land(self, reason: StopReason, notes: Sequence[Told]) -> CallModel:
        return self._call_model(self.steps + 1, (*self._task(), *notes, said.land(reason)), landing=True)

    def _task(self) -> tuple[Told, ...]:
        """The task itself, until the model was told of it."""
        assert self.began is not None
        return () if self._counts[Why.TASK] else (Told(Why.TASK, self.began.task),)

    def _reached(self) -> StopReason | None:
        limit = self.plan.repeat_limit
        if limit and any(times >= limit for _, times in self._repeats.values()):
            return StopReason.REPEAT_DETECTED
        return self.plan.limits.reached(self.spent)

    def _call_model(
        self, step: int, told: tuple[Told, ...], *, landing: bool = False, again: bool = False
    ) -> CallModel:
        landing = landing or self._landing is not None
        messages = [*self.history, *(clipped(one) if self._clipped else one for one in self.messages)]
        if told:
            messages.append(UserMessage(said.as_message(told)))
        plan = self.plan
        request = ModelRequest(
            messages=mended(messages),
            system=plan.system,
            tools=plan.toolbox.specs,
            tool_choice=ToolChoice.NONE if landing else ToolChoice.AUTO,
            output=None if plan.output is None else plan.output.schema,
        )
        return CallModel(step, request, told, landing, again)

    def _call_tools(self) -> CallTools:
        limit = self.plan.limits.calls
        left = None if limit is None else limit - self._tool_calls
        run: list[PendingCall] = []
        refused: list[ToolAnswered] = []
        for step, open in self._open.items():
            if open.result is not None:
                continue
            pending = self._pending(step, open)
            if isinstance(pending, PendingCall) and not pending.begun and left is not None:
                left -= 1
                if left < 0:
                    pending = said.NO_CALLS_LEFT
            if isinstance(pending, PendingCall):
                run.append(pending)
            else:
                refused.append(self._refusal(step, open.call, pending))
        return CallTools(tuple(run), tuple(refused))

    def _pending(self, step: int, open: OpenCall) -> PendingCall | str:
        """A call that can be run; or why it cannot."""
        call, called = open.call, open.called
        if self._finish is FinishReason.LENGTH and step == max(self._open):
            return said.CUT_OFF
        try:
            self.plan.toolbox.check(call)
        except ToolError as error:
            if called is None or called.effect is Effect.PURE:
                return str(error)
            # It was begun with a tool that is gone, or has changed: it cannot be done again, and is in doubt.
            return PendingCall(step, call, called.key, Effect.EXTERNAL, begun=True)
        if called is not None:
            return PendingCall(step, call, called.key, called.effect, begun=True)
        key = idempotency_key(self.id, step, call)
        return PendingCall(step, call, key, self.plan.toolbox.get(call.name).effect, begun=False)

    def _refusal(self, step: int, call: ToolCall, why: str) -> ToolAnswered:
        return ToolAnswered(step=step, result=ToolResult(call.id, call.name, why, failed=True), seconds=self.seconds)

    def _after_answer(self, notes: Sequence[Told]) -> Action:
        """The model has said something and calls nothing: is that the answer?"""
        if self._landing is not None:
            return self._end(self._landing)
        if self._finish is FinishReason.LENGTH:
            return self._end(StopReason.MAX_TOKENS)
        if self._finish is FinishReason.FILTERED:
            return self._end(StopReason.INVALID_RESPONSE, error="the model, or its provider, refused to answer")
        last = self.messages[-1]
        text = last.text if isinstance(last, AssistantMessage) else ""
        problem = said.EMPTY if not text.strip() else ""
        if self.plan.output is not None and not problem:
            try:
                self.plan.output.check(text)
            except BadOutput as error:
                problem = str(error)
        if problem:
            if self._counts[Why.CORRECTION] >= self.plan.corrections:
                return self._end(StopReason.INVALID_RESPONSE, error=problem)
            return self._go_on((), said.correction(problem))
        if self.plan.reflection and not self._counts[Why.REFLECTION]:
            return self._go_on((), Told(Why.REFLECTION, said.REFLECT))
        if notes:  # what came while it answered is still part of the task
            return self._go_on(notes)
        return End(StopReason.END_TURN, text)

    def _after_failure(self, failure: ModelFailed) -> Action:
        if failure.error == "ContextOverflow" and self._compacted < 3:
            if self.history and self._compacted < 2:
                all_but_summary = len(self.history) if self._compacted == 0 else cut(self.history, 0)
                return self._compaction(all_but_summary)
            if not self._clipped:
                return Compact(self.steps + 1, 0, None)
        if failure.error == "ContextOverflow":
            return self._end(StopReason.CONTEXT_OVERFLOW, error=failure.text)
        if failure.error == TIME_IS_OVER and self._landing is None:
            return self._land(StopReason.BUDGET_TIME, ())
        return self._end(self._landing or StopReason.LLM_ERROR, error=failure.text)

    def _compaction(self, messages: int) -> Compact:
        text = said.as_text(self.history[:messages])
        request = ModelRequest(messages=(UserMessage(f"{said.SUMMARIZE}\n\n{text}"),), max_tokens=1000)
        return Compact(self.steps + 1, messages, request)

    def _end(self, reason: StopReason, error: str | None = None) -> End:
        return End(reason, self.text, error)


#: The `error` of a `ModelFailed` that was cut off by the time limit of the turn.
TIME_IS_OVER = "TimeIsOver"


def idempotency_key(turn: str, step: int, call: ToolCall) -> str:
    """The key of a step: the same over all tries of it, and that of no other."""
    text = json.dumps([turn, step, call.name, canonical(call.arguments)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
