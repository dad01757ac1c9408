"""Models from specs: what is refused, what is shared, and in which order the layers stand."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
import trio

from anima.llm import (
    PROVIDERS,
    BadRequest,
    CircuitOpen,
    CircuitOpened,
    FallingBack,
    FinishReason,
    Incident,
    ModelRequest,
    ModelSpec,
    NetworkFailed,
    Retry,
    Retrying,
    ServerFailed,
    ToolProtocol,
    ToolSpec,
    UserMessage,
    complete,
    open_models,
)
from anima_supervisors import BadSpec
from tests.anima.llm.flaky import answer_of, asked, events_of

AT_ONCE = Retry(initial_delay=0)
NEVER = Retry(max_retries=0)
FALLING_BACK = ModelSpec(provider="local", fallback=(ModelSpec(provider="local"),))


class Scripts:
    """Writes scripts, each into a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *answers: str, **fields: Any) -> ModelSpec:
        """A spec whose script has these answers, each the lines of a TOML table."""
        file = self._folder / f"{len(list(self._folder.iterdir()))}.toml"
        file.write_text("\n".join(f"[[answers]]\n{answer}" for answer in answers))
        return ModelSpec(provider="scripted", model=file.stem, file=file, **fields)


@pytest.fixture
def script(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (ModelSpec(provider="opnai", model="x"), r"provider 'opnai' is not known \(did you mean 'openai'\?\)"),
        (ModelSpec(provider="zzz"), r"provider 'zzz' is not known \(valid: openai, ollama,"),
        (ModelSpec(provider="openai"), "needs the name of a model"),
        (ModelSpec(provider="scripted"), "needs a file"),
        (ModelSpec(provider="replay"), "needs a file"),
        (ModelSpec(provider="openai", model="x", base_url="nonsense"), "base_url must look like"),
        (ModelSpec(provider="local", concurrency=0), "concurrency must be 1 or more"),
        (ModelSpec(provider="local", fallback=(ModelSpec(provider="nobody"),)), "'nobody' is not known"),
        (
            ModelSpec(
                provider="local", fallback=(ModelSpec(provider="local", fallback=(ModelSpec(provider="local"),)),)
            ),
            "has a fallback of its own",
        ),
    ],
)
async def test_a_spec_that_can_never_work_is_refused_before_anything_is_asked(spec: ModelSpec, fault: str) -> None:
    async with open_models() as models:
        with pytest.raises(BadSpec, match=fault):
            models.get(spec)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_all_providers_make_models_without_any_io(provider: str) -> None:
    async with open_models() as models:
        spec = ModelSpec(provider=provider, model="m", file=Path("none"))
        assert models.get(spec).name == f"{provider}:m"


def test_what_a_spec_leaves_open_is_what_its_provider_says() -> None:
    spec = complete(ModelSpec(provider="ollama", model="m"))
    assert (spec.base_url, spec.tool_protocol) == ("http://127.0.0.1:11434/v1", ToolProtocol.NATIVE)
    assert complete(ModelSpec(provider="local")).tool_protocol is ToolProtocol.STRUCTURED
    own = ModelSpec(provider="openai", model="m", base_url="http://host/v1", tool_protocol=ToolProtocol.STRUCTURED)
    assert complete(own) == own


async def test_what_fails_is_tried_again_then_somebody_else_is_asked(script: Scripts) -> None:
    log: list[Incident] = []
    second = script("say = 'second'", retry=AT_ONCE)
    first = script(*["fail = 'ServerFailed'"] * 2, retry=Retry(max_retries=1, initial_delay=0), fallback=(second,))
    async with open_models(random=Random(1), on_incident=log.append) as models:
        assert (await answer_of(models.get(first))).message.text == "second"
    assert [type(incident) for incident in log] == [Retrying, FallingBack]


async def test_whoever_asks_for_a_model_can_be_told_what_happens_to_it(script: Scripts) -> None:
    all_: list[Incident] = []
    mine: list[Incident] = []
    spec = script("fail = 'ServerFailed'", "say = 'ok'", retry=AT_ONCE)
    async with open_models(on_incident=all_.append) as models:
        await answer_of(models.get(spec, on_incident=mine.append))
    assert (len(all_), len(mine)) == (0, 1)


async def test_a_server_that_is_not_there_is_replaced_by_the_next(script: Scripts) -> None:
    log: list[Incident] = []
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        spec = ModelSpec(
            provider="openai", model="m", base_url=url, retry=AT_ONCE, fallback=(script("say = 'second'"),)
        )
        async with open_models(on_incident=log.append) as models:
            assert (await answer_of(models.get(spec))).message.text == "second"
    assert [type(incident) for incident in log] == [Retrying, Retrying, Retrying, FallingBack]
    assert isinstance(last := log[-1], FallingBack)
    assert isinstance(last.error, NetworkFailed)


async def test_who_has_failed_is_left_alone_by_all(script: Scripts) -> None:
    second = script(*["say = 'second'"] * 2)
    first = script("fail = 'BadKey'", "say = 'first'", fallback=(second,))
    async with open_models() as models:
        for _ in range(2):
            assert (await answer_of(models.get(first))).message.text == "second"


async def test_a_circuit_is_open_for_all_agents(script: Scripts) -> None:
    log: list[Incident] = []
    spec = script(*["fail = 'ServerFailed'"] * 5, "say = 'ok'", retry=NEVER)
    async with open_models(on_incident=log.append) as models:
        for _ in range(5):
            with pytest.raises(ServerFailed):
                await events_of(models.get(spec))
        with pytest.raises(CircuitOpen):
            await events_of(models.get(spec))
    assert [type(incident) for incident in log] == [CircuitOpened]


async def test_an_open_circuit_is_not_waited_for_where_somebody_else_can_be_asked(script: Scripts) -> None:
    second = script("say = 'second'")
    first = script(*["fail = 'ServerFailed'"] * 5, "say = 'first'", retry=Retry(max_retries=9, initial_delay=0))
    async with open_models() as models:
        with trio.fail_after(5):
            answer = await answer_of(models.get(attrs.evolve(first, fallback=(second,))))
        assert answer.message.text == "second"


async def test_structured_tools_work_with_any_provider_and_broken_json_is_tried_again(script: Scripts) -> None:
    spec = script(
        """say = '{"action": oops'""",
        """say = '{"action": "clock", "arguments": {}}'""",
        tool_protocol=ToolProtocol.STRUCTURED,
        retry=AT_ONCE,
    )
    log: list[Incident] = []
    request = ModelRequest(messages=[UserMessage("?")], tools=[ToolSpec("clock", "", {"type": "object"})])
    async with open_models(on_incident=log.append) as models:
        events = await events_of(models.get(spec), request)
    assert getattr(events[-1], "reason", None) is FinishReason.TOOL_CALLS
    assert [type(incident) for incident in log] == [Retrying]


async def test_structured_calls_are_recorded_as_calls_and_replayed_so(script: Scripts, tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.jsonl"
    spec = script("""say = '{"action": "clock"}'""", tool_protocol=ToolProtocol.STRUCTURED, record=cassette)
    request = ModelRequest(messages=[UserMessage("?")], tools=[ToolSpec("clock", "", {"type": "object"})])
    async with open_models() as models:
        events = await events_of(models.get(spec), request)
        replay = ModelSpec(provider="replay", file=cassette, tool_protocol=ToolProtocol.STRUCTURED)
        assert await events_of(models.get(replay), request) == events


async def test_a_script_that_is_over_is_no_failure_of_a_server(script: Scripts) -> None:
    spec = script("say = 'one'", fallback=(script("say = 'never'"),))
    async with open_models() as models:
        model = models.get(spec)
        await answer_of(model)
        with pytest.raises(BadRequest, match="request 2"):
            await events_of(model, asked())


def test_importing_the_floor_imports_no_http_client() -> None:
    code = "import sys, anima.llm, anima.testing; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
