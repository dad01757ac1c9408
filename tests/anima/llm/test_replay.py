"""Cassettes: what was recorded comes again, event by event, and what was not is told with its difference."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from anima.llm import (
    AssistantMessage,
    BadRequest,
    CassetteMiss,
    FinishReason,
    ModelRequest,
    ModelSpec,
    OutputSchema,
    Reasoning,
    RecordingModel,
    ReplayModel,
    ResilientModel,
    Retry,
    Secret,
    ServerFailed,
    Text,
    ToolChoice,
    ToolMessage,
    ToolSpec,
    Usage,
    UserMessage,
    open_models,
)
from anima.llm._cassette import check_cassette, key_of, request_as_json
from anima.testing import Call, End, Fail, Say, ScriptedModel, Step, Think
from anima_tools import ToolCall, ToolResult
from tests.anima.llm.flaky import answer_of, asked, events_of

LAST = End(FinishReason.LENGTH, Usage(1, 2))
WHOLE: list[Step] = [
    Think("so", "sig"),
    Say("Both é."),
    Call("add", {"a": 1}),
    Call("echo"),
    End(FinishReason.LENGTH, Usage(1, 2)),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cassette.jsonl"


def contents(file: Path) -> bytes:
    return file.read_bytes()


def put(file: Path, data: bytes) -> None:
    file.write_bytes(data)


async def recorded(file: Path, *texts: str) -> None:
    """Each text as the answer to itself."""
    model = RecordingModel(ScriptedModel(texts), file)
    for text in texts:
        await answer_of(model, text)


async def test_what_was_recorded_comes_again_event_by_event(file: Path) -> None:
    events = await events_of(RecordingModel(ScriptedModel([WHOLE]), file))
    assert await events_of(ReplayModel(file)) == events


async def test_the_same_request_gets_its_answers_in_order_and_then_the_last_again(file: Path) -> None:
    model = RecordingModel(ScriptedModel(["one", "two"]), file)
    await answer_of(model)
    await answer_of(model)
    replay = ReplayModel(file)
    assert [(await answer_of(replay)).message.text for _ in range(4)] == ["one", "two", "two", "two"]


async def test_only_what_came_in_the_end_is_recorded(file: Path) -> None:
    script = ScriptedModel([[Say("half"), Fail()], Say("whole"), Fail(ServerFailed)])
    model = RecordingModel(ResilientModel(script, Retry(max_retries=1, initial_delay=0)), file)
    await answer_of(model)
    with pytest.raises(BadRequest):  # the script is over
        await answer_of(model, "other")
    [line] = contents(file).splitlines()
    assert json.loads(line)["events"][:-1] == [{"text": "whole"}]


async def test_a_miss_shows_the_difference_to_the_nearest(file: Path) -> None:
    await recorded(file, "a long text\nabout many things", "another")
    with pytest.raises(CassetteMiss) as caught:
        await answer_of(ReplayModel(file), "a long text\nabout few things")
    text = str(caught.value)
    assert f"the request is not on {file}, which has 2; the nearest differs:" in text
    assert "-messages[0].user: about many things\n+messages[0].user: about few things" in text
    assert "another" not in text


async def test_a_long_difference_is_cut(file: Path) -> None:
    await recorded(file, "\n".join(f"old {n}" for n in range(100)))
    with pytest.raises(CassetteMiss, match=r"\.\.\. \d+ more lines") as caught:
        await answer_of(ReplayModel(file), "\n".join(f"new {n}" for n in range(100)))
    assert len(str(caught.value).splitlines()) < 40


async def test_an_empty_cassette_has_no_nearest(file: Path) -> None:
    put(file, b"")
    with pytest.raises(CassetteMiss, match=r"which has 0$"):
        await answer_of(ReplayModel(file))


async def test_a_torn_last_line_is_told(file: Path) -> None:
    await recorded(file, "a", "b")
    whole = contents(file)
    put(file, whole[:-5])
    with pytest.raises(BadRequest, match=r"cassette.jsonl:2: the last line is torn.*delete it"):
        await answer_of(ReplayModel(file))
    script = ScriptedModel(["c"])
    with pytest.raises(BadRequest, match=r"cannot be recorded: .*cassette.jsonl:2: the last line is torn"):
        await answer_of(RecordingModel(script, file))
    assert script.requests == []


@pytest.mark.parametrize("line", [b"oops", b"{}", b"[]", b'{"key": "", "model": "", "request": {}, "events": [{}]}'])
async def test_a_line_that_is_no_recording_is_told_with_its_place(line: bytes, file: Path) -> None:
    await recorded(file, "a")
    put(file, contents(file) + line + b"\n")
    with pytest.raises(BadRequest, match=r"cassette.jsonl:2: this is no recording"):
        await answer_of(ReplayModel(file))


async def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"none.jsonl: cannot be read: No such file"):
        await answer_of(ReplayModel(tmp_path / "none.jsonl"))
    with pytest.raises(BadRequest, match=r"none/c.jsonl: cannot be written: No such file"):
        await answer_of(RecordingModel(ScriptedModel(["a"]), tmp_path / "none" / "c.jsonl"))


async def test_many_can_record_at_once(file: Path) -> None:
    model = RecordingModel(ScriptedModel(["x" * 5000], repeat=True), file)
    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(answer_of, model, str(n))
    replay = ReplayModel(file)
    for n in range(20):
        assert (await answer_of(replay, str(n))).message.text == "x" * 5000


async def test_a_line_that_is_being_written_is_waited_for_and_is_not_torn(file: Path) -> None:
    with file.open("ab", buffering=0) as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        writing.write(b'{"half')
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, check_cassette, file)
            await wait_all_tasks_blocked()
            writing.write(b'of a line"}\n')
            fcntl.flock(writing, fcntl.LOCK_UN)


REQUEST = ModelRequest(
    messages=[
        UserMessage("hello"),
        AssistantMessage([Reasoning("hm", "sig"), Text("well"), ToolCall("1", "add", "{}")]),
        ToolMessage([ToolResult("1", "add", "2")]),
    ],
    system="Be kind.",
    tools=[ToolSpec("add", "Adds.", {"type": "object"})],
    output=OutputSchema("sum", {"type": "integer"}),
    max_tokens=5,
    temperature=0.5,
)


@pytest.mark.parametrize(
    "change",
    [
        {"messages": REQUEST.messages[:-1]},
        {"messages": [*REQUEST.messages[:-1], ToolMessage([ToolResult("1", "add", "2", failed=True)])]},
        {"messages": [REQUEST.messages[0], AssistantMessage([Text("well"), ToolCall("1", "add", "{}")])]},
        {"system": ""},
        {"tools": ()},
        {"tools": [ToolSpec("add", "Adds!", {"type": "object"})]},
        {"tool_choice": ToolChoice.NONE},
        {"output": None},
        {"max_tokens": None},
        {"temperature": 0.0},
    ],
)
def test_all_that_a_request_says_is_part_of_its_key(change: dict[str, Any]) -> None:
    assert key_of(request_as_json(attrs.evolve(REQUEST, **change))) != key_of(request_as_json(REQUEST))


def test_a_key_stays_the_same_from_version_to_version() -> None:
    """Cassettes are kept: a change here makes all of them useless."""
    assert key_of(request_as_json(REQUEST)) == "71da9dd1f2afc4802f4d3dbc88e13a84"


@given(st.text(), st.text())
def test_any_text_can_be_recorded(question: str, answer: str) -> None:
    canonical = request_as_json(asked(question))
    assert key_of(json.loads(json.dumps(canonical))) == key_of(canonical)


async def test_models_record_and_replay_as_their_specs_say(file: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    put(script, b"[[answers]]\nfail = 'BadKey'\n[[answers]]\nsay = 'from the second'")
    other = ModelSpec(provider="scripted", model="other", file=script)
    secret = {"api_key": Secret("s3cr3t"), "headers": {"x-key": "s3cr3t"}}
    spec = ModelSpec(provider="scripted", file=script, record=file, fallback=(other,), **secret)  # type: ignore[arg-type]
    async with open_models() as models:
        first = await answer_of(models.get(spec))
        replay = models.get(ModelSpec(provider="replay", file=file))
        assert await answer_of(replay) == first
        assert first.message.text == "from the second"
        with pytest.raises(CassetteMiss):
            await answer_of(replay, "something else")
    assert b"s3cr3t" not in contents(file)
