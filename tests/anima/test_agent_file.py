"""Agent files: what a file that is right becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from anima.agents import AgentSpec, Limits, MemorySpec, OnDoubt, Retention, TimerSpec
from anima.config import ConfigError, load_agent
from anima.hub import Listens, Slow
from anima.llm import ModelSpec, Price, Retry, Secret, Timeouts, ToolProtocol
from anima_supervisors import BadSpec
from tests.anima.agent_files import LEAST, folder, load, write

__all__ = ["folder"]

DATA = Path(__file__).parent / "data"
KEYS = {"OPENAI_API_KEY": "sk-open", "ANTHROPIC_API_KEY": "sk-anth"}


# Files of v1.7


MEMORY_UNUSED = "memory: is not used: think.auto_memory, or one of remember, recall, forget, uses it"


def test_the_first_example_of_v1_7_loads_unchanged() -> None:
    agent = load_agent(DATA / "v1_7_basic.toml", environ=KEYS)
    assert agent.spec.name == "basic-agent"
    assert agent.spec.persona == ""
    assert agent.spec.model.name == "openai:gpt-4o"
    assert agent.spec.model.base_url == "http://127.0.0.1:1/v1"
    assert agent.spec.model.api_key == Secret("sk-open")
    assert [tool.name for tool in agent.spec.toolbox] == ["echo", "add"]
    assert agent.spec.limits == Limits(turns=10)
    assert (agent.spec.reflection, agent.verbose) == (False, False)
    assert agent.spec.memory is None


def test_the_second_example_of_v1_7_loads_unchanged() -> None:
    agent = load_agent(DATA / "v1_7_ollama.toml", environ={})
    assert agent.spec.persona == "You are a helpful assistant. Be concise."
    assert [tool.name for tool in agent.spec.toolbox] == ["echo", "add", "shell", "read_file", "write_file"]
    assert agent.spec.model.api_key is None
    assert agent.verbose
    assert agent.notes == ()  # a server of one's own needs no key


def test_every_key_of_v1_7_is_taken() -> None:
    agent = load_agent(DATA / "v1_7_full.toml", environ=KEYS)
    assert agent.spec.model.api_key == Secret("sk-anth")
    assert agent.spec.model.retry == Retry(max_retries=5, initial_delay=0.2, max_delay=10.0, exponential_base=3.0)
    assert agent.spec.memory == MemorySpec(path=DATA / "agent.db", auto=True, entries=20)
    assert agent.spec.reflection
    assert len(agent.spec.toolbox) == 6


def test_the_defaults_are_those_of_v1_7(folder: Path) -> None:
    agent = load(folder, LEAST)
    assert agent.spec.model.retry == Retry(max_retries=3, initial_delay=0.1, max_delay=5.0, exponential_base=2.0)
    assert agent.spec.limits == Limits(turns=10)
    assert len(agent.spec.toolbox) == 0
    assert agent.spec.memory is None
    assert not agent.spec.reflection
    values = {setting.key: setting.value for setting in agent.values}
    assert (values["memory.backend"], values["memory.path"]) == ('"sqlite"', "none")
    assert (values["think.auto_memory"], values["think.max_memory_entries"]) == ("false", "10")
    assert not agent.verbose


# All keys

TOOLS = """
import attrs
from anima_tools import tool

@tool
def weather(city: str) -> str:
    "Say what the weather is."
    return f"It is sunny in {city}."

@tool(name="shell")
def own_shell(command: str) -> str:
    "Run a command."
    return command

@attrs.frozen
class Report:
    title: str
    pages: int
"""

ALL = """
home = "state"

[agent]
name = "ada"
description = "knows numbers"
persona = "ada.md"
capabilities = ["count", { name = "translate", version = "2", attributes = { to = "de" } }]
subscribe = ["news.**", { topic = "sport", slow = "wait", retained = true }]
output = "own:Report"
timers = [{ every = "5m", message = "look around" }, { every = "1h", message = "sum up" }]

[llm]
provider = "openai"
model = "gpt-4o"
base_url = "https://example.org/v1"
api_key = "${MY_KEY}"
headers = { X-Title = "ada", X-Token = "Bearer ${MY_TOKEN}" }
temperature = 0.5
max_tokens = 500
tool_protocol = "structured"
fallback = ["openai:gpt-4o-mini", "anthropic:claude", "local"]
cool_down = "1m"
concurrency = 2
timeouts = { connect = "1s", first_token = "2s", between = "3s", total = "4s" }
record = "traffic.jsonl"
price = { input = 2.5, output = 10, cached = 1.25 }

[tools]
enabled = ["clock", "own:weather", "own:own_shell", "ask_agent", "find_agents", "tell_agent"]
deny = ["shell", "tell_agent"]
root = "work"
allow_private = true
allow_hosts = ["localhost:8000"]
keep_env = ["EDITOR"]

[think]
auto_memory = true
max_iterations = 7
reflection = true
repeat_limit = 4
corrections = 1
parallel_tools = 2
context_tokens = 9000
spawn_depth = 0
on_doubt = "fail"

[budget]
tokens = 10_000
cost = 0.5
calls = 20
seconds = "2m"

[retry]
max_retries = 1
initial_delay = "1s"
max_delay = "2s"
exponential_base = 3
retry_after_cap = "10s"
total = "1m"

[memory]
backend = "sqlite"
path = "memory/ada.db"

[journal]
keep = "7d"
size = "64MiB"

[observe]
verbose = true
"""


@pytest.fixture
def beside(folder: Path) -> Path:
    write(folder, TOOLS, "own.py")
    write(folder, "You are Ada.\n", "ada.md")
    (folder / "work").mkdir()
    return folder


ENVIRON = {
    "MY_KEY": "sk-mine",
    "MY_TOKEN": "token",
    "ANTHROPIC_API_KEY": "sk-anth",
    "EDITOR": "ed",
    "PATH": "/bin",
    "COPY": "sk-mine",
}


def test_an_agent_is_what_its_file_says(beside: Path) -> None:
    agent = load(beside, ALL, environ=ENVIRON)
    spec = agent.spec
    assert (spec.name, spec.persona, spec.description) == ("ada", "You are Ada.", "knows numbers")
    assert [(one.name, one.version, dict(one.attributes)) for one in spec.capabilities] == [
        ("count", None, {}),
        ("translate", "2", {"to": "de"}),
    ]
    assert agent.subscribe == (Listens("news.**"), Listens("sport", slow=Slow.WAIT, retained=True))
    assert spec.timers == (TimerSpec(300, "look around"), TimerSpec(3600, "sum up"))
    assert spec.output is not None
    assert spec.output.kind.__name__ == "Report"
    assert spec.limits == Limits(turns=7, tokens=10_000, cost=0.5, calls=20, seconds=120)
    assert (spec.reflection, spec.repeat_limit, spec.corrections, spec.parallel_tools) == (True, 4, 1, 2)
    assert (spec.context_tokens, spec.spawn_depth, spec.on_doubt) == (9000, 0, OnDoubt.FAIL)
    assert agent.verbose
    assert (agent.home, agent.folder) == (beside / "state", beside)
    assert agent.spec.memory is not None
    assert agent.spec.memory.path == beside / "memory/ada.db"
    assert agent.retention == Retention(keep=7 * 86_400.0, size=64 << 20)


def test_its_model_is_what_the_file_says(beside: Path) -> None:
    agent = load(beside, ALL, environ=ENVIRON)
    model = agent.spec.model
    assert (model.name, model.base_url, model.api_key) == ("openai:gpt-4o", "https://example.org/v1", Secret("sk-mine"))
    assert model.headers == {"X-Title": "ada", "X-Token": "Bearer token"}
    assert (model.temperature, model.max_tokens, model.tool_protocol) == (0.5, 500, ToolProtocol.STRUCTURED)
    assert model.timeouts == Timeouts(connect=1, first_token=2, between=3, total=4)
    assert model.retry == Retry(
        max_retries=1, initial_delay=1, max_delay=2, exponential_base=3, retry_after_cap=10, total=60
    )
    assert (model.cool_down, model.concurrency, model.record) == (60, 2, beside / "traffic.jsonl")
    assert agent.spec.prices == {"gpt-4o": Price(2.5, 10, 1.25)}


def test_what_it_falls_back_to_with_the_same_provider_is_asked_in_the_same_way_others_in_their_own(
    beside: Path,
) -> None:
    same, other, local = load(beside, ALL, environ=ENVIRON).spec.model.fallback
    assert (same.name, same.base_url, same.api_key) == (
        "openai:gpt-4o-mini",
        "https://example.org/v1",
        Secret("sk-mine"),
    )
    assert same.headers == {"X-Title": "ada", "X-Token": "Bearer token"}
    assert (other.name, other.base_url, other.api_key) == ("anthropic:claude", None, Secret("sk-anth"))
    assert (other.headers, other.tool_protocol, other.temperature) == ({}, None, 0.5)
    assert (local.name, local.api_key) == ("local", None)
    assert same.record is other.record is local.record is None


def test_tools_are_found_by_name_beside_the_file_and_among_those_by_which_agents_talk_and_deny_wins(
    beside: Path,
) -> None:
    spec = load(beside, ALL, environ=ENVIRON).spec
    assert [tool.name for tool in spec.toolbox] == ["clock", "weather"]  # that of one's own called shell is denied too
    assert spec.talk == {"ask_agent", "find_agents"}


def test_its_tools_have_a_root_and_an_environment_without_secrets(beside: Path) -> None:
    workspace = load(beside, ALL, environ=ENVIRON).spec.workspace
    assert (workspace.root, workspace.outputs) == (beside / "work", beside / "state/outputs")
    assert (workspace.allow_private, workspace.allow_hosts) == (True, ("localhost:8000",))
    assert workspace.env == {"EDITOR": "ed", "PATH": "/bin"}  # COPY has the value of a key


def test_no_repr_shows_a_key(beside: Path) -> None:
    assert "sk-" not in repr(load(beside, ALL, environ=ENVIRON))


def test_an_empty_list_of_tools_means_none_as_does_a_missing_one(folder: Path) -> None:
    for more in ("", "[tools]\nenabled = []\n"):
        spec = load(folder, LEAST + more).spec
        assert (len(spec.toolbox), spec.talk) == (0, frozenset())


def test_paths_are_relative_to_the_file_wherever_one_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 'answers = [{ say = "hello" }]', "script.toml")
    file = write(folder, '[agent]\nname = "a"\n[llm]\nprovider = "scripted"\nfile = "script.toml"\n')
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    agent = load_agent(Path("..") / file.name, environ={})
    assert agent.spec.model.file is not None
    assert agent.spec.model.file.resolve() == folder / "script.toml"
    assert agent.spec.workspace.root.resolve() == folder
    assert agent.spec.model.file.is_absolute()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('api_key = "${MY_KEY}"', "sk-mine"),
        ('api_key_env = "MY_KEY"', "sk-mine"),
        ('api_key = "sk-written"', "sk-written"),
        ("", "sk-open"),
        ('base_url = "https://example.org/v1"', "sk-open"),
    ],
)
def test_a_key_is_referred_to_named_written_or_that_of_the_provider(folder: Path, text: str, key: str) -> None:
    more = f'[agent]\nname = "a"\n[llm]\nprovider = "openai"\nmodel = "m"\n{text}\n'
    agent = load(folder, more, environ={"MY_KEY": "sk-mine", **KEYS})
    assert agent.spec.model.api_key == Secret(key)


@pytest.mark.parametrize(
    ("llm", "note"),
    [
        (
            'provider = "openai"\nmodel = "m"',
            "llm.api_key: openai wants a key: set the environment variable OPENAI_API_KEY",
        ),
        (
            'provider = "anthropic"\nmodel = "m"\napi_key = "${MY_KEY}"',
            "llm.api_key: the environment variable MY_KEY is not set",
        ),
        (
            'provider = "openai"\nmodel = "m"\napi_key_env = "MY_KEY"',
            "llm.api_key_env: the environment variable MY_KEY is not set",
        ),
        (
            'provider = "openai"\nmodel = "m"\napi_key = "sk-x"',
            'llm.api_key: the key stands in the file; "${NAME}" takes it from the environment',
        ),
        (
            'provider = "local"\nheaders = { A = "${MY_TOKEN}" }',
            "llm.headers.A: the environment variable MY_TOKEN is not set",
        ),
        (
            'provider = "local"\nfallback = ["anthropic:m"]',
            "llm.fallback[0]: anthropic wants a key: set the environment variable ANTHROPIC_API_KEY",
        ),
        (
            'provider = "openai"\nbase_url = "http://x/v1"\nmodel = "own"\nfallback = ["local"]\n[budget]\ncost = 1',
            "budget.cost: the price of openai:own is not known, so that it counts as nothing; llm.price, or "
            "llm.prices, says it",
        ),
        ('provider = "local"\nfile = "script.toml"', "llm.file: local does not use it"),
        ('provider = "local"\n[memory]\npath = "own.db"', MEMORY_UNUSED),
    ],
)
def test_what_is_allowed_but_probably_not_meant_is_a_note(folder: Path, llm: str, note: str) -> None:
    assert load(folder, f'[agent]\nname = "a"\n[llm]\n{llm}\n').notes == (note,)


def test_what_it_falls_back_to_has_a_price_too(folder: Path) -> None:
    llm = 'provider = "openai"\nmodel = "mine"\nfallback = ["openai:other"]\nbase_url = "http://localhost/v1"\n'
    price = "price = { input = 1, output = 2 }\nprices = { other = { input = 3, output = 4 } }\n"
    agent = load(folder, f'[agent]\nname = "ada"\n[llm]\n{llm}{price}[budget]\ncost = 1\n')
    assert agent.spec.prices == {"mine": Price(1, 2), "other": Price(3, 4)}
    assert not [note for note in agent.notes if "price" in note]
    unknown = load(folder, f'[agent]\nname = "ada"\n[llm]\n{llm}[budget]\ncost = 1\n')
    assert any("the price of openai:mine, openai:other is not known" in note for note in unknown.notes)


def test_two_timers_that_say_the_same_are_one_too_many(folder: Path) -> None:
    timers = 'timers = [{ every = "1h", message = "look" }, { every = "1d", message = "look" }]'
    with pytest.raises(ConfigError, match=r"agent.timers\[1\].message: is that of another timer"):
        load(folder, LEAST.replace("[llm]", f"{timers}\n[llm]"))
    with pytest.raises(BadSpec, match="two timers say 'look'"):
        AgentSpec(name="ada", model=ModelSpec(provider="local"), timers=(TimerSpec(1, "look"), TimerSpec(2, "look")))


def test_a_file_may_begin_with_a_mark_of_its_bytes_order(folder: Path) -> None:
    (folder / "agent.toml").write_bytes(b"\xef\xbb\xbf" + LEAST.encode())
    assert load_agent(folder / "agent.toml", environ={}).spec.name == "ada"


def test_an_agent_file_is_frozen(folder: Path) -> None:
    agent: Any = load(folder, LEAST)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        agent.home = Path()
