"""One turn being thought: what the state machine wants done is done here, and recorded before and after.

The order is always the same: record what is about to happen, do it, record what came of it, let the turn take that
in. So whoever reads the records can go on where this was cut off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import trio

from anima.llm import Assembly, Finish, Model, ModelAnswer, ModelError, ModelRequest, ReasoningDelta, Reset, TextDelta
from anima_tools import Effect, Invocation, ToolResult

from . import _said as said
from ._actions import Action, CallModel, CallTools, Compact, End, PendingCall
from ._answer import Answer, Spent, StopReason
from ._budgets import Account, spent_by
from ._events import (
    AgentModelCalled,
    AgentToolCalled,
    AgentTurnEnded,
    ModelAsked,
    ModelErred,
    ModelReplied,
    ReasoningStreamed,
    TextReset,
    TextStreamed,
    ToolBegun,
    ToolDone,
    TurnEvent,
)
from ._home import Interruptible
from ._journal import Journal
from ._records import (
    Compacted,
    ModelAnswered,
    ModelCalled,
    ModelFailed,
    Record,
    Told,
    ToolAnswered,
    ToolCalled,
    TurnEnded,
    Why,
)
from ._spec import AgentSpec, OnDoubt
from ._turn import TIME_IS_OVER, Turn

#: At the time limit of a turn its last call may take so many seconds more.
LANDING_SECONDS = 60.0
#: What is recorded when a turn was interrupted may take so long.
RECORDING_SECONDS = 5.0


@attrs.frozen(kw_only=True)
class Ways:
    """How a turn reaches the world: all that it needs and does not own."""

    model: Model
    price: Callable[[Finish], float | None]
    journal: Journal
    invocation: Callable[[str], Invocation]
    notes: Callable[[], Awaitable[list[Told]]]
    tell: Callable[[TurnEvent], None]
    emit: Callable[..., None]
    remembered: list[Told]
    account: Account


class Thinking:
    """Drives one turn to its end."""

    def __init__(self, turn: Turn, spec: AgentSpec, ways: Ways) -> None:
        self._turn = turn
        self._spec = spec
        self._ways = ways
        self._before = turn.seconds  # spent by those who were here before
        self._began = trio.current_time()
        self._interruptible = Interruptible(trio.CancelScope())
        #: what a person has to say before it can go on
        self._question: str | None = None
        #: it has said that it waits for room in a budget, and until when its last answer may
        self._waits_for_room = False
        self._room_until: float | None = None
        #: the answer that is coming
        self._partial = Assembly()

    @property
    def _seconds(self) -> float:
        return self._before + trio.current_time() - self._began

    @property
    def _time_is_over(self) -> float:
        """When the turn's time is over, on Trio's clock."""
        seconds = self._turn.plan.limits.seconds
        return float("inf") if seconds is None else self._began + seconds - self._before

    async def run(self, interruptible: Interruptible) -> Answer:
        """Think until there is an answer. Interrupted, it is what there is by then; parked, or until a person
        has decided, so far.

        Cancelled by anybody else, the turn is left as it is in the journal, to be gone on with.
        """
        self._interruptible = interruptible
        if self._turn.ended is None:
            try:
                with interruptible.scope:
                    await self._think()
            finally:
                self._ways.account.leave()
            if self._turn.ended is None and interruptible.interrupted:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + RECORDING_SECONDS):
                    await self._end(End(StopReason.CANCELLED, self._partial.text or self._turn.text))
        return self._answer()

    async def _think(self) -> None:
        notes = [] if self._turn.steps else list(self._ways.remembered)
        while self._turn.ended is None and self._question is None and not self._interruptible.parked:
            known = {note.id for note in notes}
            notes += [note for note in await self._ways.notes() if note.id not in known]
            action = self._turn.next(notes, self._seconds, self._ways.account)
            need = self._need(action)
            if not getattr(action, "again", False) and not self._ways.account.fits(need):
                await self._wait_for_room(action, need)
                continue
            match action:
                case CallModel():
                    # Reserved at once, before anything is waited for: others look at the same budget.
                    with self._ways.account.reserved(need):
                        await self._call_model(action)
                    told = {one.id for one in action.told}
                    notes = [note for note in notes if note.id not in told]
                case CallTools():
                    await self._call_tools(action)
                case Compact():
                    with self._ways.account.reserved(need):
                        await self._compact(action)
                case End():
                    await self._end(action)

    def _need(self, action: Action) -> Spent:
        """What is to be reserved for it; what was asked before, and is asked again, too."""
        match action:
            case CallModel(request=request) | Compact(request=ModelRequest() as request):
                return self._ways.account.need(request)
            case _:
                return Spent()

    async def _wait_for_room(self, action: Action, need: Spent) -> None:
        """Others have reserved what is left of a budget: wait until it is worth to look again.

        Not longer than the time of the turn, or of its landing: then it goes on without.
        """
        what = "others have reserved what is left of a budget"
        told = action.told if isinstance(action, CallModel) else ()
        last = next((one for one in told if one.why is Why.LAND), None)
        deadline = self._time_is_over
        if last is not None:  # from its first wait on, however often it looks again
            deadline = self._room_until = self._room_until or trio.current_time() + LANDING_SECONDS
        if not self._waits_for_room:
            self._waits_for_room = True
            self._ways.tell(ModelErred(self._turn.id, what, "waiting for room"))
        scope = trio.CancelScope(deadline=deadline)
        with self._interruptible.repeatable(scope):
            await self._ways.account.wait_for_room(need)
        if not scope.cancelled_caught or self._interruptible.parked:
            return
        if last is not None:
            await self._end(End(StopReason(last.about), self._turn.text, error=what))
        elif isinstance(action, Compact):
            await self._record(_compacted(action, self._seconds))

    async def _record(self, *records: Record, taken: Sequence[str] = ()) -> None:
        await self._ways.journal.append(self._turn.id, records, taken)
        self._ways.account.spend(spent_by(records))
        for record in records:
            self._turn.apply(record)

    # The model

    async def _call_model(self, action: CallModel) -> None:
        if not action.again:
            taken = [one.id for one in action.told if one.why is Why.NOTE]
            await self._record(ModelCalled(step=action.step, told=action.told, seconds=self._seconds), taken=taken)
        name = self._ways.model.name
        for again in action.told:
            if again.why in (Why.CORRECTION, Why.REFLECTION):
                self._ways.tell(TextReset(self._turn.id, again.text.partition("\n")[0]))
        self._ways.tell(ModelAsked(self._turn.id, action.step, name))
        began = trio.current_time()
        assembly = self._partial = Assembly()
        deadline = began + LANDING_SECONDS if action.landing else self._time_is_over
        answer: ModelAnswer | None = None
        error, text = TIME_IS_OVER, "the time for this task was over before the model had answered"
        with self._interruptible.repeatable(trio.CancelScope(deadline=deadline)):
            try:
                answer = await self._stream(action.request, assembly)
            except ModelError as failure:
                error, text = type(failure).__name__, str(failure)
        if answer is None and self._interruptible.parked:
            return  # it is asked again when the turn goes on
        self._partial = Assembly()
        seconds = trio.current_time() - began
        facts: dict[str, Any] = {"turn": self._turn.id, "step": action.step, "model": name, "seconds": seconds}
        if answer is None:
            failed = ModelFailed(step=action.step, error=error, text=text, partial=assembly.text, seconds=self._seconds)
            await self._record(failed)
            self._ways.tell(ModelErred(self._turn.id, text))
            self._ways.emit(AgentModelCalled, **facts, error=text)
            return
        usage = answer.finish.usage
        cost = self._ways.price(answer.finish)
        await self._record(
            ModelAnswered(
                step=action.step, message=answer.message, finish=answer.finish, cost=cost, seconds=self._seconds
            )
        )
        final = not answer.message.calls
        self._ways.tell(ModelReplied(self._turn.id, action.step, name, usage, cost, seconds, final))
        self._ways.emit(
            AgentModelCalled,
            **facts,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            cost=cost,
        )

    async def _stream(self, request: ModelRequest, assembly: Assembly) -> ModelAnswer | None:
        """Ask, and tell what comes while it comes. Raises `ModelError`."""
        tell, turn = self._ways.tell, self._turn.id
        async with contextlib.aclosing(self._ways.model.stream(request)) as events:
            async for event in events:
                assembly.feed(event)
                match event:
                    case TextDelta(text):
                        tell(TextStreamed(turn, text))
                    case ReasoningDelta(text) if text:
                        tell(ReasoningStreamed(turn, text))
                    case Reset(why):
                        tell(TextReset(turn, why))
        return assembly.answer()

    async def _compact(self, action: Compact) -> None:
        compacted = _compacted(action, 0.0)
        if action.request is not None:
            scope = trio.CancelScope(deadline=self._time_is_over)
            with self._interruptible.repeatable(scope), contextlib.suppress(ModelError):
                # Without a summary the beginning is left out: the turn goes on all the same.
                answer = await self._summarize(action.request)
                compacted = attrs.evolve(compacted, summary=answer.message.text, finish=answer.finish)
                compacted = attrs.evolve(compacted, cost=self._ways.price(answer.finish))
            if scope.cancelled_caught and self._interruptible.parked:
                return  # it is asked for again when the turn goes on
        await self._record(attrs.evolve(compacted, seconds=self._seconds))

    async def _summarize(self, request: ModelRequest) -> ModelAnswer:
        assembly = Assembly()
        async with contextlib.aclosing(self._ways.model.stream(request)) as events:
            async for event in events:
                assembly.feed(event)
        answer = assembly.answer()
        assert answer is not None  # a stream that does not finish raises
        return answer

    # Tools

    async def _call_tools(self, action: CallTools) -> None:
        run = list(action.run)
        for call in action.run:
            if call.begun and call.effect is Effect.EXTERNAL:
                run.remove(call)
                text = f"it is not known whether {call.call.name} took effect (step {call.step})"
                if self._spec.on_doubt is OnDoubt.FAIL:
                    await self._end(End(StopReason.IN_DOUBT, self._turn.text, error=text))
                    return
                if self._spec.on_doubt is OnDoubt.ASK:
                    self._question = (
                        f"{text}: `anima runs settle CONFIG {self._turn.id} {call.step} done` (or not-done)"
                    )
                    return
                await self._refuse(call, said.doubt(call.call.name))
        for refused in action.refused:
            await self._answered(refused, refused.result.name, 0.0)
        await self._intend(run)
        limiter = trio.CapacityLimiter(self._spec.parallel_tools)
        async with trio.open_nursery() as nursery:
            for call in run:
                nursery.start_soon(self._call_tool, call, limiter)

    async def _intend(self, run: list[PendingCall]) -> None:
        """Record what is about to be run. For what there are no calls left in a shared budget is taken out of `run`."""
        account = self._ways.account
        new = [one for one in run if not one.begun]
        left = account.calls_left
        allowed = new if left >= len(new) else new[: max(0, int(left))]
        with account.reserved(Spent(calls=len(allowed))):
            for call in new[len(allowed) :]:
                run.remove(call)
                await self._refuse(call, said.NO_CALLS_LEFT_TOGETHER)
            intents = [
                ToolCalled(step=one.step, tool=one.call.name, key=one.key, effect=one.effect, seconds=self._seconds)
                for one in allowed
            ]
            if intents:
                await self._record(*intents)

    async def _refuse(self, call: PendingCall, why: str) -> None:
        result = ToolResult(call.call.id, call.call.name, why, failed=True)
        await self._answered(ToolAnswered(step=call.step, result=result, seconds=self._seconds), call.call.name, 0.0)

    async def _call_tool(self, pending: PendingCall, limiter: trio.CapacityLimiter) -> None:
        call = pending.call
        async with limiter:
            self._ways.tell(ToolBegun(self._turn.id, pending.step, call.name, call.arguments))
            began = trio.current_time()
            scope = trio.CancelScope(deadline=self._time_is_over)
            again = pending.effect is not Effect.EXTERNAL
            text = "Cut off: the time for this task is over."
            result = ToolResult(call.id, call.name, text, failed=True)
            with self._interruptible.repeatable(scope) if again else scope:
                result = await self._turn.plan.toolbox.run(call, self._ways.invocation(pending.key))
        if again and scope.cancelled_caught and self._interruptible.parked:
            return  # it is made again when the turn goes on
        answered = ToolAnswered(step=pending.step, result=result, seconds=self._seconds)
        await self._answered(answered, call.name, trio.current_time() - began)

    async def _answered(self, answered: ToolAnswered, tool: str, seconds: float) -> None:
        await self._record(answered)
        result = answered.result
        step = answered.step
        self._ways.tell(ToolDone(self._turn.id, step, tool, result.failed, result.content, seconds))
        facts = {"turn": self._turn.id, "step": step, "tool": tool, "seconds": seconds, "failed": result.failed}
        self._ways.emit(AgentToolCalled, **facts)

    # The end

    async def _end(self, action: End) -> None:
        await self._record(
            TurnEnded(stop_reason=action.stop_reason, text=action.text, error=action.error, seconds=self._seconds)
        )
        turn = self._turn
        self._ways.emit(
            AgentTurnEnded,
            turn=turn.id,
            stop_reason=action.stop_reason.value,
            steps=turn.steps,
            seconds=turn.seconds,
            input_tokens=turn.usage.input_tokens,
            output_tokens=turn.usage.output_tokens,
            cost=turn.cost,
            error=action.error,
        )

    def _answer(self) -> Answer:
        turn = self._turn
        reason = StopReason.AWAITING_APPROVAL if self._question else StopReason.SUPERVISOR_SHUTDOWN
        ended = turn.ended or TurnEnded(stop_reason=reason, text=turn.text, error=self._question)
        return Answer(
            turn=turn.id,
            text=ended.text,
            stop_reason=ended.stop_reason,
            usage=turn.usage,
            cost=turn.cost,
            steps=turn.steps,
            seconds=turn.seconds,
            output=turn.output,
            error=ended.error,
        )


def _compacted(action: Compact, seconds: float) -> Compacted:
    """The beginning of the conversation is left out, without a summary."""
    clipped = action.request is None
    return Compacted(step=action.step, messages=action.messages, summary="", clipped=clipped, seconds=seconds)
