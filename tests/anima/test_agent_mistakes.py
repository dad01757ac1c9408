"""Agent files: what is said of mistakes. All of them at once, each at its key, nothing started, never a traceback."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anima.config import ConfigError, load_agent, load_config
from anima.config._agent_tables import AgentFileTable
from anima.config._schema import kind_of, setting_paths
from tests.anima.agent_files import LEAST, folder, load, problems, write
from tests.anima.test_tree import document

__all__ = ["folder"]

OWN = """
import attrs
from anima_tools import tool

@tool
def weather(city: str) -> str:
    "Say what the weather is."
    return city

@tool(name="ask_agent")
def ask(city: str) -> str:
    "Ask."
    return city

@tool(name="add")
def other_add(city: str) -> str:
    "Add."
    return city

def plain(): ...

class Shapeless:
    def __init__(self, socket: "Nowhere"): ...

@attrs.frozen
class Report:
    title: str

number = 5
"""


@pytest.fixture
def beside(folder: Path) -> Path:
    write(folder, OWN, "own.py")
    write(folder, "raise RuntimeError('half a module')\n", "broken.py")
    write(folder, "raise SystemExit(3)\n", "leaving.py")
    write(folder, " \n", "empty.md")
    write(folder, 'answers = [{ sya = "hello" }]\n', "wrong.toml")
    (folder / "latin.md").write_bytes("caf\xe9".encode("latin-1"))
    return folder


def agent(more: str) -> str:
    return f'[agent]\nname = "ada"\n{more}\n[llm]\nprovider = "local"\n'


def llm(more: str, provider: str = "local") -> str:
    return f'[agent]\nname = "ada"\n[llm]\nprovider = "{provider}"\n{more}\n'


def section(name: str, more: str) -> str:
    return f"{LEAST}[{name}]\n{more}\n"


MISTAKES = {
    # keys
    "nothing at all": ("", "agent.name: is missing", "llm.provider: is missing"),
    "no name": ('[agent]\n[llm]\nprovider = "local"', "agent.name: is missing"),
    "no provider": ('[agent]\nname = "a"\n[llm]\n', "llm.provider: is missing"),
    "an unknown section": (LEAST + "[tolls]\n", "tolls: unknown key (did you mean 'tools'?)"),
    "an unknown key": (agent('nmae = "x"'), "agent.nmae: unknown key (did you mean 'name'?)"),
    "an unknown key of an inner table": (
        llm('timeouts = { totle = "5s" }'),
        "llm.timeouts.totle: unknown key (did you mean 'total'?)",
    ),
    "a section that is none": (
        "agent = 5\nllm = []\n",
        "agent: must be a table, not 5",
        "llm: must be a table, not []",
    ),
    # types
    "a text that is a number": (agent("description = 5"), "agent.description: must be a text, not 5"),
    "a number that is a text": (llm('temperature = "hot"'), "llm.temperature: must be a number, not 'hot'"),
    "a number that is true": (llm("max_tokens = true"), "llm.max_tokens: must be a whole number, 1 or more, not True"),
    "a list that is a text": (section("tools", 'enabled = "add"'), "tools.enabled: must be a list, not 'add'"),
    "a text in a list that is none": (section("tools", "enabled = [5]"), "tools.enabled[0]: must be a text, not 5"),
    "a word that is none": (
        llm('tool_protocol = "natve"'),
        "llm.tool_protocol: must be one of native, structured, not 'natve' (did you mean 'native'?)",
    ),
    "a header that is no text": (llm("headers = { A = 1 }"), "llm.headers.A: must be a text, not 1"),
    "a time": (agent("description = 12:30:00"), "agent.description: must be a text, not datetime.time(12, 30)"),
    # values
    "a temperature below 0": (llm("temperature = -1"), "llm.temperature: must be a number, 0 or more, not -1"),
    "a temperature that is none": (llm("temperature = nan"), "llm.temperature: must be a number, 0 or more, not nan"),
    "no places": (llm("concurrency = 0"), "llm.concurrency: must be a whole number, 1 or more, not 0"),
    "no time": (llm('timeouts = { total = "0s" }'), "llm.timeouts.total: must be a duration above 0, not '0s'"),
    "a duration without a unit": (
        section("budget", "seconds = 5"),
        'budget.seconds: must be a duration like "250ms", "30s" or "5m", not 5 (write "5s")',
    ),
    "a base that shrinks": (
        section("retry", "exponential_base = 0.5"),
        "retry.exponential_base: must be 1 or more, not 0.5",
    ),
    "a budget of nothing": (section("budget", "cost = 0"), "budget.cost: must be a number above 0, not 0"),
    "a budget without an end": (section("budget", "cost = inf"), "budget.cost: must be a number above 0, not inf"),
    "half a price": (llm("price = { input = 1 }"), "llm.price.output: is missing"),
    "a price below 0": (
        llm("price = { input = -1, output = 2 }"),
        "llm.price.input: must be a number, 0 or more, not -1",
    ),
    "a number that is too large": (
        llm(f"temperature = 1{'0' * 400}"),
        f"llm.temperature: is too large: 1{'0' * 400}",
    ),
    "a name of nothing": (
        '[agent]\nname = " "\n[llm]\nprovider = "local"',
        "agent.name: a name can be printed, is not",
    ),
    "a name with a slash": ('[agent]\nname = "a/b"\n[llm]\nprovider = "local"', "agent.name: a name can be printed,"),
    "a URL without a scheme": (
        llm('base_url = "localhost:80"'),
        "llm.base_url: must be a URL like https://host/v1, not 'localhost:80'",
    ),
    "a URL with a port that is none": (
        llm('base_url = "http://localhost:port"'),
        "llm.base_url: must be a URL like https://host/v1, not 'http://localhost:port'",
    ),
    "a timer without a message": (agent('timers = [{ every = "5m" }]'), "agent.timers[0].message: is missing"),
    "a timer without a break": (
        agent('timers = [{ every = "0s", message = "x" }]'),
        "agent.timers[0].every: must be a duration above 0, not '0s'",
    ),
    "a topic that is none": (agent('subscribe = ["a..b"]'), "agent.subscribe[0]: "),
    "a capability without a name": (agent('capabilities = [""]'), "agent.capabilities[0]: the name of a capability is"),
    "a capability that cannot be looked up": (
        agent('capabilities = [{ name = "x", attributes = { a = [1] } }]'),
        "agent.capabilities[0]: capability 'x': the attribute 'a' must be hashable",
    ),
    "a header that is none": (llm('headers = { "a b" = "c" }'), "llm.headers.a b: no header can be called 'a b'"),
    "a header of two lines": (llm('headers = { a = "c\\r\\nd: e" }'), "llm.headers.a: a header is one line"),
    "a path that is none": (agent('persona = "a\\u0000b"'), "agent.persona: must be a path, not"),
    # milliseconds
    "milliseconds beside their key": (
        section("retry", 'max_delay = "5s"\nmax_delay_ms = 5000'),
        "retry.max_delay_ms: stands beside max_delay, which means the same; write one of them",
    ),
    "milliseconds that are none": (
        section("retry", "max_delay_ms = 0.5"),
        "retry.max_delay_ms: must be a whole number of milliseconds, not 0.5",
    ),
    "milliseconds of what is no duration": (
        section("retry", "max_retries_ms = 5"),
        "retry.max_retries_ms: unknown key (did you mean 'max_retries'?)",
    ),
    # models
    "a provider that is none": (llm("", "antropic"), "llm.provider: there is no provider 'antropic' (did you mean 'an"),
    "no model": (llm("", "openai"), "llm.model: is missing: openai needs the name of a model"),
    "no model of Ollama": (llm("", "ollama"), "llm.model: is missing: ollama needs the name of a model"),
    "no script": (llm("", "scripted"), "llm.file: is missing: scripted needs a script"),
    "no cassette": (llm("", "replay"), "llm.file: is missing: replay needs a cassette"),
    "a script that is not there": (llm('file = "nowhere.toml"', "scripted"), "llm.file: there is no file"),
    "a cassette that is a folder": (llm('file = "."', "replay"), "llm.file: there is no file"),
    "a script of a script": (
        llm('file = "own.py"\nrecord = "x"', "scripted"),
        "llm.record: there is nothing to record: scripted asks no server",
        "own.py: ",
    ),
    "a script that is wrong": (
        llm('file = "wrong.toml"', "scripted"),
        "wrong.toml: answers[0].sya: unknown key (did you mean 'say'?)",
        "wrong.toml: answers[0]: says nothing: it needs say, calls or fail",
    ),
    "two keys": (
        llm('api_key = "${A}"\napi_key_env = "B"'),
        "llm.api_key: stands beside api_key_env; write one of them",
    ),
    "an empty key": (llm('api_key = ""'), "llm.api_key: is empty; leave it out where there is no key"),
    "a reference that is none": (llm('api_key = "${A"'), 'llm.api_key: a reference is written "${NAME}"'),
    "a variable that is none": (
        llm('api_key_env = "A B"'),
        "llm.api_key_env: must be the name of an environment variable, not 'A B'",
    ),
    "falling back to no provider": (llm('fallback = ["opnai:x"]'), "llm.fallback[0]: there is no provider 'opnai'"),
    "falling back to no model": (
        llm('fallback = ["local", "openai"]'),
        "llm.fallback[1]: must be openai:MODEL, not 'openai'",
    ),
    "falling back to a script": (
        llm('fallback = ["scripted"]'),
        "llm.fallback[0]: scripted needs a file, so that nothing falls back to it",
    ),
    # persona and output
    "two personas": (
        agent('system_prompt = "x"\npersona = "empty.md"'),
        "agent.persona: stands beside system_prompt; write one of them",
    ),
    "a persona that is not there": (agent('persona = "ada.md"'), "agent.persona: "),
    "a persona that is a folder": (agent('persona = "."'), "agent.persona: "),
    "a persona that is no text": (agent('persona = "latin.md"'), "agent.persona: "),
    "a persona of nothing": (agent('persona = "empty.md"'), "agent.persona: "),
    "an output that is none": (agent('output = "Report"'), "agent.output: must be 'module:name', not 'Report'"),
    "an output in no module": (agent('output = "nomodule:Report"'), "agent.output: cannot import nomodule"),
    "an output that is not there": (
        agent('output = "own:Reprot"'),
        "agent.output: own has no 'Reprot' (did you mean 'Report'?)",
    ),
    "an output that is no class": (agent('output = "own:number"'), "agent.output: own:number must be a class, not int"),
    "an output without a shape": (agent('output = "own:Shapeless"'), "agent.output: own:Shapeless has no JSON schema"),
    # tools
    "a tool that is none": (
        section("tools", 'enabled = ["read_fil"]'),
        "tools.enabled[0]: there is no tool 'read_fil' (did you mean 'read_file'?)",
    ),
    "a way to talk that is none": (
        section("tools", 'enabled = ["ask_agnt"]'),
        "tools.enabled[0]: there is no tool 'ask_agnt' (did you mean 'ask_agent'?)",
    ),
    "a tool named twice": (section("tools", 'enabled = ["add", "add"]'), "tools.enabled[1]: 'add' is named twice"),
    "two tools of one name": (
        section("tools", 'enabled = ["add", "own:other_add"]'),
        "tools.enabled[1]: there is a tool 'add' already; give it another name: tool(name=...)",
    ),
    "a tool with the name of a way to talk": (
        section("tools", 'enabled = ["own:ask"]'),
        "tools.enabled[0]: there is a tool 'ask_agent' already",
    ),
    "a tool in no module": (
        section("tools", 'enabled = ["nomodule:x"]'),
        "tools.enabled[0]: there is no tool 'nomodul",
    ),
    "a tool in a broken module": (
        section("tools", 'enabled = ["broken:x"]'),
        "tools.enabled[0]: the tool 'broken:x' ca",
    ),
    "a tool in a module that leaves": (
        section("tools", 'enabled = ["leaving:x"]'),
        "tools.enabled[0]: leaving:x cannot be imported: SystemExit: 3",
    ),
    "a tool that is not in its module": (
        section("tools", 'enabled = ["own:wether"]'),
        "tools.enabled[0]: there is no tool 'own:wether'; did you mean 'own:weather'?",
    ),
    "a function that is no tool": (
        section("tools", 'enabled = ["own:plain"]'),
        "tools.enabled[0]: 'own:plain' is no to",
    ),
    "denying what is no tool": (
        section("tools", 'enabled = ["shell"]\ndeny = ["shel"]'),
        "tools.deny[0]: there is no tool 'shel' (did you mean 'shell'?)",
    ),
    "a root that is not there": (section("tools", 'root = "nowhere"'), "tools.root: there is no folder"),
    "a root that is a file": (section("tools", 'root = "own.py"'), "tools.root: there is no folder"),
    "a host that is a URL": (
        section("tools", 'allow_hosts = ["http://localhost"]'),
        "tools.allow_hosts[0]: must be a host, or host:port, not 'http://localhost'",
    ),
    "a key for commands": (
        section("tools", 'keep_env = ["OPENAI_API_KEY"]'),
        "tools.keep_env[0]: OPENAI_API_KEY holds a key, which no command is given",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_at_its_key_and_nothing_else_is(beside: Path, name: str) -> None:
    text, *expected = MISTAKES[name]
    found = [problem.removeprefix(f"{beside}{os.sep}") for problem in problems(beside, text)]
    assert len(found) == len(expected), found
    for problem, beginning in zip(found, expected, strict=True):
        assert problem.startswith(beginning), found


def test_all_mistakes_are_told_at_once_those_of_values_beside_those_of_their_combination(beside: Path) -> None:
    text = """
        [agent]
        nam = "ada"
        persona = "nowhere.md"
        subscribe = ["a..b"]
        [llm]
        provider = "opnai"
        temperature = "hot"
        [tools]
        enabled = ["ad", "own:wether"]
        [think]
        max_iterations = 0
        [retry]
        max_delay = 5
    """
    found = [problem.partition(":")[0] for problem in problems(beside, text)]
    assert sorted(found) == [
        "agent.nam",
        "agent.name",
        "agent.persona",
        "agent.subscribe[0]",
        "llm.provider",
        "llm.temperature",
        "retry.max_delay",
        "think.max_iterations",
        "tools.enabled[0]",
        "tools.enabled[1]",
    ]


def test_a_persona_that_cannot_be_read_is_told_with_its_reason(beside: Path) -> None:
    for file, reason in [
        ("ada.md", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
        ("latin.md", "is not a text in UTF-8"),
        ("empty.md", "is empty"),
    ]:
        assert problems(beside, agent(f'persona = "{file}"')) == [f"agent.persona: {beside / file} {reason}"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "is not a text in UTF-8"),
        (b"[agent", "is not valid TOML"),
        (b"a = " + b"[" * 10_000, "is not valid TOML"),
        (b"version = 1\nroot = 'home'\n[supervisors.home]\n", "describes a tree, not an agent"),
    ],
)
def test_a_file_that_is_none_is_told(folder: Path, content: bytes | None, said: str) -> None:
    file = folder / "agent.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_agent(file, environ={})
    assert str(caught.value).startswith(f"{file}: {said}")


def test_a_folder_is_no_file(folder: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_agent(folder, environ={})


def test_an_error_names_the_file_and_the_one_that_it_refers_to(beside: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(beside, llm('file = "wrong.toml"\nmax_tokens = 0', "scripted"))
    first, *others = str(caught.value).splitlines()
    assert first == f"{beside / 'agent.toml'}: llm.max_tokens: must be a whole number, 1 or more, not 0"
    assert all(line.startswith(f"{beside / 'wrong.toml'}: answers[0]") for line in others)


# Whatever stands in a file

_SCALARS = (
    st.none().map(lambda _: "x")
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["5s", "local", "scripted", "openai", "${A}", "add", "own:x", ".", "\0", "a..b"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=6,
)
_PATHS = st.sampled_from([(), *setting_paths(), *[path[:1] for path in setting_paths()], ("llm", "timeouts")])


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        inner = data.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        data = inner
    if path:
        data[path[-1]] = value
    elif isinstance(value, dict):
        data.update(value)


_QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@_QUIET
@given(changes=st.lists(st.tuples(_PATHS, _VALUES), max_size=6))
@example(changes=[(("llm", "provider"), "scripted"), (("llm", "file"), "\0")])
@example(changes=[(("llm", "file"), "x" * 5000), (("llm", "provider"), "replay")])
@example(changes=[(("agent", "persona"), "x" * 5000), (("tools", "root"), "x" * 5000)])
@example(changes=[(("home",), "x" * 5000)])
def test_whatever_stands_in_a_file_is_an_agent_or_an_error(folder: Path, changes: list[Any]) -> None:
    data: dict[str, Any] = {"agent": {"name": "ada"}, "llm": {"provider": "local"}}
    for path, value in changes:
        _put(data, path, value)
    file = write(folder, document(data))
    try:
        agent = load_config(file, environ={})
    except ConfigError as error:
        assert error.problems
        assert all(str(problem) for problem in error.problems)
    else:
        assert repr(agent)


@_QUIET
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(content=b"a" + b".a" * 3000 + b" = 1")
@example(content=b"llm.headers" + b".a" * 3000 + b" = 1")
@example(content=b"llm.provider" + b".a" * 3000 + b" = 1")
@example(content=b"agent.capabilities = [{ name = 'a', attributes" + b".a" * 3000 + b" = 1 }]")
def test_whatever_a_file_is_made_of_it_is_no_agent_without_a_reason(folder: Path, content: bytes) -> None:
    file = folder / "agent.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={})
    assert caught.value.problems


@_QUIET
@given(
    sets=st.lists(
        st.text(max_size=20)
        | st.builds("{}={}".format, st.sampled_from([".".join(path) for path in setting_paths()]), st.text(max_size=9)),
        max_size=4,
    ),
    environ=st.dictionaries(
        st.sampled_from(["ANIMA_" + "_".join(path).upper() for path in setting_paths()]),
        st.text(max_size=9),
        max_size=4,
    ),
)
@example(sets=["a" + ".a" * 3000 + "=1", "llm.headers" + ".a" * 3000 + "=1"], environ={})
def test_whatever_is_set_is_taken_or_an_error(folder: Path, sets: list[str], environ: dict[str, str]) -> None:
    file = write(folder, LEAST)
    try:
        load_agent(file, sets=sets, environ=environ)
    except ConfigError as error:
        assert error.problems


def test_what_the_tables_say_about_a_key_is_found_by_its_path() -> None:
    assert kind_of(("agent", "name")) is str
    assert kind_of(("agent", "nothing", "at", "all")) is None
    assert kind_of(()) is AgentFileTable


def test_a_date_is_no_text(folder: Path) -> None:
    [problem] = problems(folder, agent("description = 2020-01-01"))
    assert problem.endswith(f"not {datetime.date(2020, 1, 1)!r}")
