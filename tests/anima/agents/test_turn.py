"""The turn as a state machine: whatever the model says, it ends; whenever it is cut off, it goes on."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.agents import Limits, Output, StopReason
from anima.agents._actions import CallModel, CallTools, Compact, End
from anima.agents._records import ModelCalled, Record, Told, ToolAnswered, ToolCalled, Why
from anima.agents._state import Plan
from anima.agents._turn import TIME_IS_OVER
from anima.llm import AssistantMessage, FinishReason, Message, ModelRequest, ToolChoice, ToolMessage, UserMessage
from anima_tools import Effect, Toolbox, ToolCall, tool
from tests.anima.agents.turns import TOOLS, Fails, Reply, Says, began, call, play, records_of


@attrs.frozen
class Point:
    x: int
    y: int


calls = st.builds(
    ToolCall,
    st.sampled_from(["1", "2", "3", ""]),
    st.sampled_from(["look", "put", "send", "nothing_of_the_kind"]),
    st.sampled_from(['{"what": "a"}', '{"what": "b"}', "{}", "{", '{"what": 1}', '{"what": "a", "more": 2}']),
)
replies = st.one_of(
    st.builds(
        Says,
        st.sampled_from(["", "hello", '{"x": 1, "y": 2}']),
        st.lists(calls, max_size=3).map(tuple),
        st.sampled_from(FinishReason),
    ),
    st.builds(
        Fails, st.sampled_from(["ServerFailed", "ContextOverflow", TIME_IS_OVER]), st.sampled_from(["", "half an"])
    ),
)
plans = st.builds(
    lambda **fields: Plan(toolbox=TOOLS, **fields),
    limits=st.builds(
        Limits,
        turns=st.integers(1, 5),
        tokens=st.none() | st.integers(1, 100),
        cost=st.none() | st.floats(0.01, 0.1),
        calls=st.none() | st.integers(1, 4),
        seconds=st.none() | st.floats(1, 10),
    ),
    output=st.none() | st.just(Output(Point)),
    reflection=st.booleans(),
    repeat_limit=st.integers(0, 3),
    corrections=st.integers(0, 2),
    context_tokens=st.sampled_from([10, 1000]),
)
histories = st.lists(
    st.sampled_from(["one", "two"]).map(lambda text: (UserMessage(text), AssistantMessage((call("look", text),)))),
    max_size=2,
).map(lambda pairs: tuple(message for pair in pairs for message in pair))


def scripted(answers: list[Reply], requests: list[ModelRequest]):  # type: ignore[no-untyped-def]
    """A model that gives these answers, and the last one again and again."""
    left = list(answers)

    def model(request: ModelRequest) -> Reply:
        requests.append(request)
        return left.pop(0) if len(left) > 1 else left[0]

    return model


def is_whole(messages: tuple[Message, ...]) -> bool:
    """Each call has its result right after it, and no result is there without its call."""
    waiting: tuple[ToolCall, ...] = ()
    for message in messages:
        if isinstance(message, ToolMessage):
            if [result.id for result in message.results] != [call.id for call in waiting]:
                return False
            waiting = ()
        elif waiting:
            return False
        elif isinstance(message, AssistantMessage):
            waiting = message.calls
    return not waiting


@given(plans, st.lists(replies, min_size=1, max_size=8), histories, st.floats(0, 4))
def test_whatever_the_model_says_the_turn_ends_and_every_request_is_whole(
    plan: Plan, answers: list[Reply], history: tuple[Message, ...], seconds: float
) -> None:
    requests: list[ModelRequest] = []
    turn = began(plan, history=history)
    end, records, _ = play(turn, scripted(answers, requests), seconds_a_step=seconds)
    assert isinstance(end.stop_reason, StopReason)
    assert all(is_whole(request.messages) for request in requests)
    assert all(request.messages for request in requests)
    # The last call comes on top, and so do reviews and answers that were sent back.
    most = plan.limits.turns + 1
    assert sum(isinstance(record, ModelCalled) for record in records) <= most + 4  # those that failed count as well


@given(plans, st.lists(replies, min_size=1, max_size=8), histories, st.data())
def test_a_turn_that_is_cut_off_anywhere_goes_on_with_the_same_action(
    plan: Plan, answers: list[Reply], history: tuple[Message, ...], data: st.DataObject
) -> None:
    turn = began(plan, history=history)
    _, records, _ = play(turn, scripted(answers, []))
    place = data.draw(st.integers(0, len(records) - 1))
    one, other = began(plan, history=history), began(plan, history=history)
    for record in records[:place]:
        one.apply(record)
    for record in records[:place]:
        other.next((), other.seconds)  # looking changes nothing
        other.apply(record)
    assert one.next((), one.seconds) == other.next((), other.seconds)
    if place == len(records) - 1:
        assert isinstance(one.next((), one.seconds), End)


@given(plans, st.lists(replies, min_size=1, max_size=8), st.data())
def test_no_call_is_begun_twice_and_every_step_has_a_number_of_its_own(
    plan: Plan, answers: list[Reply], data: st.DataObject
) -> None:
    turn = began(plan)
    _, records, _ = play(turn, scripted(answers, []))
    begun = [record.step for record in records if isinstance(record, ToolCalled)]
    asked = [record.step for record in records if isinstance(record, ModelCalled)]
    assert len(set(begun + asked)) == len(begun + asked)
    keys = [record.key for record in records if isinstance(record, ToolCalled)]
    assert len(set(keys)) == len(keys)


def told(records: list[Record], why: Why) -> list[str]:
    return [one.text for record in records if isinstance(record, ModelCalled) for one in record.told if one.why is why]


def test_an_answer_without_calls_ends_the_turn() -> None:
    end, records, _ = play(began(), [Says("42")])
    assert (end.stop_reason, end.text) == (StopReason.END_TURN, "42")
    assert told(records, Why.TASK) == ["the task"]


def test_the_results_of_calls_come_back_complete_and_in_the_order_of_the_calls() -> None:
    requests: list[ModelRequest] = []
    two = Says("", (call("look", "a", "x"), call("nothing", "b", "y"), call("look", "c", "z")))
    play(began(), scripted([two, Says("done")], requests))
    results = requests[1].messages[-1]
    assert isinstance(results, ToolMessage)
    assert [(result.id, result.failed) for result in results.results] == [("x", False), ("y", True), ("z", False)]


def test_wrong_arguments_go_back_to_the_model_as_an_error_that_it_can_mend() -> None:
    wrong = Says("", (ToolCall("1", "look", '{"wat": "a"}'),))
    end, records, _ = play(began(), [wrong, Says("", (call("look"),)), Says("done")])
    assert end.text == "done"
    refused = next(record for record in records if isinstance(record, ToolAnswered))
    assert refused.result.failed
    assert "what" in refused.result.content
    assert [record.tool for record in records if isinstance(record, ToolCalled)] == ["look"]


def test_a_call_that_was_cut_off_with_its_answer_is_never_run() -> None:
    cut = Says("", (call("look"), call("send", "all of it")), FinishReason.LENGTH)
    _, records, _ = play(began(), [cut, Says("done")])
    assert [record.tool for record in records if isinstance(record, ToolCalled)] == ["look"]


def test_at_the_limit_of_turns_the_model_is_asked_once_more_without_tools() -> None:
    plan = Plan(toolbox=TOOLS, limits=Limits(turns=2), repeat_limit=0)
    requests: list[ModelRequest] = []
    busy = Says("so far", (call("look"),))
    end, records, _ = play(began(plan), scripted([busy, busy, Says("the best I have")], requests))
    assert (end.stop_reason, end.text) == (StopReason.MAX_TURNS, "the best I have")
    assert [request.tool_choice for request in requests] == [ToolChoice.AUTO, ToolChoice.AUTO, ToolChoice.NONE]
    assert requests[2].tools == requests[0].tools  # so that what providers have cached stays valid
    assert len(told(records, Why.LAND)) == 1


def test_a_last_answer_that_calls_tools_all_the_same_is_taken_by_its_text() -> None:
    plan = Plan(toolbox=TOOLS, limits=Limits(turns=1))
    busy = Says("partly", (call("look"),))
    end, records, _ = play(began(plan), [busy, busy])
    assert (end.stop_reason, end.text) == (StopReason.MAX_TURNS, "partly")
    assert len([record for record in records if isinstance(record, ToolCalled)]) == 1


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(tokens=30), StopReason.BUDGET_TOKENS),
        (Limits(cost=0.02), StopReason.BUDGET_COST),
        (Limits(calls=2), StopReason.BUDGET_CALLS),
        (Limits(seconds=20), StopReason.BUDGET_TIME),
    ],
)
def test_every_limit_lands_with_its_own_reason(limits: Limits, reason: StopReason) -> None:
    number = iter(range(100))

    def model(request: ModelRequest) -> Reply:
        if request.tool_choice is ToolChoice.NONE:
            return Says("the best I have")
        return Says("", (call("look", f"thing {next(number)}"),))

    end, _, _ = play(began(Plan(toolbox=TOOLS, limits=limits)), model, seconds_a_step=5)
    assert (end.stop_reason, end.text) == (reason, "the best I have")


def test_calls_beyond_the_limit_of_calls_are_refused_and_the_others_are_run() -> None:
    plan = Plan(toolbox=TOOLS, limits=Limits(calls=2))
    three = Says("", (call("look", "a"), call("look", "b"), call("look", "c")))
    end, records, _ = play(began(plan), [three, Says("done")])
    assert end.stop_reason is StopReason.BUDGET_CALLS
    assert len([record for record in records if isinstance(record, ToolCalled)]) == 2
    assert [record.result.failed for record in records if isinstance(record, ToolAnswered)].count(True) == 1


def test_when_a_limit_is_near_the_model_is_told_once() -> None:
    plan = Plan(toolbox=TOOLS, limits=Limits(turns=5), repeat_limit=0)
    _, records, _ = play(began(plan), [*[Says("", (call("look"),))] * 5, Says("done")])
    assert len(told(records, Why.NEAR)) == 1
    assert "4 of 5 calls" in told(records, Why.NEAR)[0]


def test_the_same_call_with_the_same_result_three_times_ends_the_turn() -> None:
    end, records, _ = play(began(), [*[Says("", (call("look"),))] * 3, Says("I am stuck")])
    assert (end.stop_reason, end.text) == (StopReason.REPEAT_DETECTED, "I am stuck")
    assert len([record for record in records if isinstance(record, ToolCalled)]) == 3


def test_the_same_call_with_other_results_is_no_repetition() -> None:
    number = iter(range(100))
    end, _, _ = play(began(), [*[Says("", (call("look"),))] * 5, Says("done")], lambda _: f"state {next(number)}")
    assert end.stop_reason is StopReason.END_TURN


def test_an_answer_of_the_wrong_form_is_sent_back_and_a_right_one_is_taken() -> None:
    plan = Plan(output=Output(Point))
    turn = began(plan)
    end, records, _ = play(turn, [Says("x is 1"), Says('```json\n{"x": 1, "y": 2}\n```')])
    assert end.stop_reason is StopReason.END_TURN
    assert turn.output == Point(1, 2)
    assert "JSON" in told(records, Why.CORRECTION)[0]


def test_after_so_many_corrections_the_turn_ends_with_what_there_is() -> None:
    end, _, _ = play(began(Plan(output=Output(Point), corrections=2)), [Says("no")] * 3)
    assert (end.stop_reason, end.text) == (StopReason.INVALID_RESPONSE, "no")
    assert end.error is not None


def test_an_empty_answer_is_asked_for_again() -> None:
    end, _, _ = play(began(), [Says(""), Says("here")])
    assert (end.stop_reason, end.text) == (StopReason.END_TURN, "here")


def test_with_reflection_the_answer_is_looked_at_once_more() -> None:
    end, records, _ = play(began(Plan(reflection=True)), [Says("41"), Says("42")])
    assert end.text == "42"
    assert len(told(records, Why.REFLECTION)) == 1


def test_a_refusal_an_answer_too_long_and_an_error_each_end_it_with_the_text_so_far() -> None:
    assert play(began(), [Says("no", finish=FinishReason.FILTERED)])[0].stop_reason is StopReason.INVALID_RESPONSE
    assert play(began(), [Says("long", finish=FinishReason.LENGTH)])[0].stop_reason is StopReason.MAX_TOKENS
    end = play(began(), [Says("first", (call("look"),)), Fails(partial="half an ans")])[0]
    assert (end.stop_reason, end.text, end.error) == (StopReason.LLM_ERROR, "half an ans", "broken")


def test_what_comes_while_it_thinks_is_told_with_the_next_call() -> None:
    waiting = [[], [Told(Why.NOTE, "the plan has changed", "home/boss")], [], []]
    _, records, _ = play(began(), [Says("", (call("look"),)), Says("done")], notes=lambda: waiting.pop(0))
    # The note is there when the tools are to be run, and again offered until it is used.
    assert isinstance(records[0], ModelCalled)


def test_a_note_that_comes_with_the_answer_is_answered_too() -> None:
    note = Told(Why.NOTE, "one more thing", "home/boss")
    waiting = [[], [note], []]
    end, records, _ = play(began(), [Says("first"), Says("both")], notes=lambda: waiting.pop(0))
    assert end.text == "both"
    assert told(records, Why.NOTE) == ["one more thing"]


def conversation(turns: int) -> tuple[Message, ...]:
    return tuple(
        message
        for number in range(turns)
        for message in (UserMessage(f"question {number} " + "x" * 400), AssistantMessage(()))
    )


def test_a_long_conversation_is_compacted_before_the_turn_and_its_end_is_kept() -> None:
    plan = Plan(context_tokens=1000)
    requests: list[ModelRequest] = []
    turn = began(plan, history=conversation(10))
    _, _, actions = play(turn, scripted([Says("done")], requests))
    assert isinstance(actions[0], Compact)
    (request,) = requests
    texts = [message.text for message in request.messages if isinstance(message, UserMessage)]
    assert texts[0].endswith("> in short")
    assert texts[-2].startswith("question 9")
    assert texts[-1] == "the task"


def test_a_short_conversation_stays_as_it_is_so_that_it_can_be_cached() -> None:
    requests: list[ModelRequest] = []
    history = conversation(2)
    play(began(history=history), scripted([Says("done")], requests))
    assert requests[0].messages[0] == history[0]


def test_a_conversation_longer_than_the_model_reads_is_shortened_and_asked_again() -> None:
    end, _, actions = play(
        began(history=conversation(3)), [Says("", (call("look"),)), Fails("ContextOverflow"), Says("done")]
    )
    assert (end.stop_reason, end.text) == (StopReason.END_TURN, "done")
    assert any(isinstance(action, Compact) for action in actions)


def test_a_task_longer_than_the_model_reads_ends_with_its_own_reason() -> None:
    end, _, _ = play(began(), lambda _: Fails("ContextOverflow"))
    assert end.stop_reason is StopReason.CONTEXT_OVERFLOW


def test_a_call_that_was_begun_comes_back_with_its_key_and_one_that_was_not_without() -> None:
    turn = began()
    two = Says("", (call("put", "a", "x"), call("send", "b", "y")))
    asked = turn.next()
    assert isinstance(asked, CallModel)
    for record in records_of(asked, lambda _: two, str):
        turn.apply(record)
    first = turn.next()
    assert isinstance(first, CallTools)
    one = first.run[0]
    turn.apply(ToolCalled(step=one.step, tool="put", key=one.key, effect=one.effect))
    again = turn.next()
    assert isinstance(again, CallTools)
    assert [(pending.begun, pending.key) for pending in again.run] == [(True, one.key), (False, first.run[1].key)]


def put_elsewhere(what: str, where: str) -> str:
    """Put something somewhere else."""
    return f"{what} {where}"


CHANGED = tool(put_elsewhere, name="put", effect=Effect.IDEMPOTENT)


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize("now", [Toolbox(()), Toolbox([CHANGED])], ids=["gone", "changed"])
def test_a_begun_call_that_cannot_be_made_again_is_in_doubt_unless_it_has_no_effect(
    effect: Effect, now: Toolbox
) -> None:
    """The tool is gone since, or takes other arguments."""
    turn = began()
    records: list[Record] = []
    for record in records_of(turn.next(), lambda _: Says("", (call("put"),)), str):
        turn.apply(record)
        records.append(record)
    later = began(Plan(toolbox=now))
    for record in [*records, ToolCalled(step=2, tool="put", key="k", effect=effect)]:
        later.apply(record)
    action = later.next()
    assert isinstance(action, CallTools)
    if effect is Effect.PURE:
        assert (action.run, len(action.refused)) == ((), 1)
    else:
        assert action.refused == ()
        assert [(one.begun, one.key, one.effect) for one in action.run] == [(True, "k", Effect.EXTERNAL)]
