"""A toolbox answers every call: with a result, or with a failed one that says what to do."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from anima_tools import (
    Arguments,
    BadArguments,
    BadTool,
    Invocation,
    Tool,
    Toolbox,
    ToolCall,
    ToolResult,
    UnknownTool,
    Workspace,
    tool,
)


@pytest.fixture
def invocation(tmp_path: Path) -> Invocation:
    return Invocation("key", Workspace(tmp_path, tmp_path / "outputs"))


@tool(output_cap=256)
async def repeat(text: str, times: int = 1) -> str:
    """Repeat a text."""
    return text * times


def raising(error: BaseException) -> Tool:
    @tool
    async def fail() -> None:
        """Fail."""
        raise error

    return fail


async def call(tools: Toolbox | Tool, name: str, invocation: Invocation, arguments: str = "") -> ToolResult:
    toolbox = tools if isinstance(tools, Toolbox) else Toolbox([tools])
    return await toolbox.run(ToolCall("c1", name, arguments), invocation)


def test_a_toolbox_tells_what_is_in_it() -> None:
    toolbox = Toolbox([repeat])
    assert [spec.name for spec in toolbox.specs] == ["repeat"]
    assert toolbox.specs[0].description == "Repeat a text."
    assert toolbox.specs[0].input_schema == repeat.input_schema
    assert toolbox.get("repeat") is repeat
    assert list(toolbox) == [repeat]
    assert "repeat" in toolbox
    assert "other" not in toolbox


def test_without_tools_there_are_none() -> None:
    toolbox = Toolbox([])
    assert toolbox.specs == ()
    assert len(toolbox) == 0
    with pytest.raises(UnknownTool, match="there are no tools at all"):
        toolbox.get("shell")


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(BadTool, match="two tools are called 'repeat'"):
        Toolbox([repeat, tool(lambda: 1, name="repeat", description="x")])


def test_a_tool_whose_types_cannot_be_used_is_refused_at_once() -> None:
    with pytest.raises(BadTool, match="annotate it"):
        Toolbox([tool(lambda a: 1, name="bad", description="x")])


def test_a_call_is_checked_before_it_is_run() -> None:
    toolbox = Toolbox([repeat])
    assert toolbox.check(ToolCall("1", "repeat", '{"text": "a"}')).values == {"text": "a"}
    with pytest.raises(BadArguments):
        toolbox.check(ToolCall("1", "repeat", "{}"))
    with pytest.raises(UnknownTool, match="did you mean 'repeat'"):
        toolbox.check(ToolCall("1", "repeats", "{}"))


async def test_what_a_tool_returns_is_the_result(invocation: Invocation) -> None:
    result = await call(repeat, "repeat", invocation, '{"text": "ab", "times": 2}')
    assert result == ToolResult("c1", "repeat", "abab")


async def test_a_tool_that_is_not_there_is_a_failed_result_with_the_nearest(invocation: Invocation) -> None:
    result = await call(repeat, "repaet", invocation)
    assert result.failed
    assert result.content == "there is no tool 'repaet'; did you mean 'repeat'?"
    assert await Toolbox([repeat]).run_checked(ToolCall("c1", "repaet", ""), Arguments(), invocation) == result


async def test_bad_arguments_are_a_failed_result_that_says_what_to_mend(invocation: Invocation) -> None:
    result = await call(repeat, "repeat", invocation, '{"texts": "ab"}')
    assert result.failed
    assert "text: missing, expected string" in result.content
    assert "texts: unknown; did you mean 'text'?" in result.content


async def test_what_a_tool_raises_is_a_failed_result(invocation: Invocation) -> None:
    result = await call(raising(LookupError("no such town")), "fail", invocation)
    assert result == ToolResult("c1", "fail", "LookupError: no such town", failed=True)
    assert (await call(raising(ValueError()), "fail", invocation)).content == "ValueError"


async def test_an_error_whose_text_cannot_be_shown_is_a_failed_result(invocation: Invocation) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert (await call(raising(Broken()), "fail", invocation)).content == "Broken: its text cannot be shown"


async def test_a_group_is_told_by_its_leaves(invocation: Invocation) -> None:
    group = ExceptionGroup("several", [ValueError("a"), ExceptionGroup("inner", [OSError("b"), KeyError("c")])])
    result = await call(raising(group), "fail", invocation)
    assert result.failed
    assert result.content.splitlines() == ["ValueError: a", "OSError: b", "KeyError: 'c'"]


async def test_a_deadline_is_a_failed_result(autojump_clock: trio.testing.MockClock, invocation: Invocation) -> None:
    slow = tool(trio.sleep_forever, name="slow", description="Wait.", deadline=3)
    result = await call(slow, "slow", invocation)
    assert result == ToolResult("c1", "slow", "ToolTimeout: slow did not finish within 3 s", failed=True)


async def test_an_interrupt_passes(invocation: Invocation) -> None:
    with pytest.raises(KeyboardInterrupt):
        await call(raising(KeyboardInterrupt()), "fail", invocation)


async def test_a_cancellation_passes_and_an_error_on_its_way_does_not_come_out(invocation: Invocation) -> None:
    @tool
    async def stubborn() -> None:
        """Raise when cancelled."""

        async def fail() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("in cleanup")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(trio.sleep_forever)

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, stubborn, "stubborn", invocation)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught


async def test_a_long_result_is_shortened_and_kept(invocation: Invocation) -> None:
    result = await call(repeat, "repeat", invocation, '{"text": "0123456789", "times": 100}')
    assert not result.failed
    assert len(result.content) <= 256
    assert result.content.startswith("0123")
    assert result.content.endswith("6789")
    assert result.handle is not None
    assert f"characters are left out here; read_file has the whole text as {result.handle}" in result.content
    (file,) = invocation.workspace.outputs.iterdir()
    assert file.read_text(encoding="utf-8") == "0123456789" * 100
    assert file.stat().st_mode & 0o777 == 0o600
    again = await call(repeat, "repeat", invocation, '{"text": "0123456789", "times": 100}')
    assert again == result


async def test_a_long_error_is_shortened_too(invocation: Invocation) -> None:
    result = await call(raising(ValueError("é" * 50_000)), "fail", invocation)
    assert result.failed
    assert len(result.content) <= 20_000
    assert result.handle


async def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    invocation = Invocation("key", Workspace(tmp_path, tmp_path / "file"))
    result = await call(repeat, "repeat", invocation, '{"text": "0123456789", "times": 100}')
    assert "the whole text could not be kept" in result.content
    assert len(result.content) <= 256
    assert result.handle is None
    assert not result.failed


async def test_text_that_cannot_be_encoded_is_mended(invocation: Invocation) -> None:
    @tool
    async def halves(joined: bool) -> str:
        """Give halves of a pair."""
        return "\ud83d\ude00" if joined else "a\ud83d"

    assert (await call(halves, "halves", invocation, '{"joined": true}')).content == "😀"
    assert (await call(halves, "halves", invocation, '{"joined": false}')).content == "a\ufffd"


async def test_threads_that_hang_take_none_from_another_toolbox(invocation: Invocation) -> None:
    go = threading.Event()

    @tool(deadline=0.02)
    def hang() -> None:
        """Hang."""
        go.wait()

    @tool
    def work() -> str:
        """Work."""
        return "worked"

    hanging, other = Toolbox([hang], threads=1), Toolbox([work], threads=1)
    try:
        assert "did not finish" in (await call(hanging, "hang", invocation)).content
        assert "did not start" in (await call(hanging, "hang", invocation)).content
        assert (await call(other, "work", invocation)).content == "worked"
    finally:
        go.set()
    async with hanging._limiter:
        pass  # the thread is over
