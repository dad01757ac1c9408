"""Agent files: what is said of mistakes. All of them at once, each at its key, nothing started, never a traceback."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from anima.config._agent_tables import AgentFileTable
from anima.config._schema import kind_of
from tests.anima.agent_files import LEAST, folder, problems
from tests.anima.agent_mistakes import agent, beside, llm

__all__ = ["beside", "folder"]


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


def test_what_the_tables_say_about_a_key_is_found_by_its_path() -> None:
    assert kind_of(("agent", "name")) is str
    assert kind_of(("agent", "nothing", "at", "all")) is None
    assert kind_of(()) is AgentFileTable


def test_a_date_is_no_text(folder: Path) -> None:
    [problem] = problems(folder, agent("description = 2020-01-01"))
    assert problem.endswith(f"not {datetime.date(2020, 1, 1)!r}")
