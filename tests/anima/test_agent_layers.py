"""Where the values of an agent come from: `--set` before the environment before the file before the default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.config import AgentFile, Duration
from anima.config._toml import as_toml, parse_path, parse_value
from anima.config._values import BadValue, Size, parse_duration, parse_size
from anima.llm import Secret
from tests.anima.agent_files import LEAST, folder, load, problems, write

__all__ = ["folder"]

FILE = """
[agent]
name = "ada"

[llm]
provider = "openai"
model = "from the file"
timeouts = { connect = "1s" }

[retry]
max_delay_ms = 300
"""


def origins(agent: AgentFile) -> dict[str, tuple[str, str]]:
    return {setting.key: (setting.value, setting.origin) for setting in agent.values}


def test_what_is_set_comes_before_the_environment_that_before_the_file_and_that_before_the_default(
    folder: Path,
) -> None:
    environ = {"ANIMA_LLM_MODEL": "from the environment", "ANIMA_LLM_TEMPERATURE": "0.5"}
    agent = load(folder, FILE, "llm.model=from a set", environ=environ)
    assert (agent.spec.model.model, agent.spec.model.temperature) == ("from a set", 0.5)
    assert load(folder, FILE, environ=environ).spec.model.model == "from the environment"
    assert load(folder, FILE).spec.model.model == "from the file"
    found = origins(agent)
    assert found["llm.model"] == ('"from a set"', "--set")
    assert found["llm.temperature"] == ("0.5", "environment ANIMA_LLM_TEMPERATURE")
    assert found["llm.provider"] == ('"openai"', f"{folder / 'agent.toml'}:6")
    assert found["llm.concurrency"] == ("8", "default")
    assert found["llm.base_url"] == ('"https://api.openai.com/v1"', "provider default")


def test_of_several_sets_of_one_key_the_last_counts(folder: Path) -> None:
    assert load(folder, FILE, "llm.model=a", "llm.model=b").spec.model.model == "b"


def test_an_inner_table_is_merged_key_by_key_and_has_the_line_of_its_table(folder: Path) -> None:
    agent = load(folder, FILE, "llm.timeouts.total=2m", environ={"ANIMA_LLM_TIMEOUTS_BETWEEN": "3s"})
    timeouts = agent.spec.model.timeouts
    assert (timeouts.connect, timeouts.between, timeouts.total, timeouts.first_token) == (1, 3, 120, 120)
    found = origins(agent)
    assert found["llm.timeouts.connect"] == ('"1s"', f"{folder / 'agent.toml'}:8")
    assert found["llm.timeouts.total"] == ('"2m"', "--set")


def test_a_duration_in_milliseconds_in_one_place_does_not_hinder_the_same_in_another_unit_in_another(
    folder: Path,
) -> None:
    agent = load(folder, FILE, "retry.max_delay=2s", "retry.initial_delay_ms=5")
    assert (agent.spec.model.retry.max_delay, agent.spec.model.retry.initial_delay) == (2, 0.005)
    assert origins(load(folder, FILE))["retry.max_delay"] == ('"300ms"', f"{folder / 'agent.toml'}:11")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("agent.description=7", "agent.description", '"7"'),  # where a text is wanted, it needs no quotes
        ('agent.description="7"', "agent.description", '"7"'),
        ("agent.description=a = b", "agent.description", '"a = b"'),
        ("agent.description=", "agent.description", '""'),
        ("llm.temperature=0.25", "llm.temperature", "0.25"),
        ("think.reflection=true", "think.reflection", "true"),
        ("think.on_doubt=fail", "think.on_doubt", '"fail"'),
        ("budget.seconds=5m", "budget.seconds", '"5m"'),
        ('tools.enabled=["add", "echo"]', "tools.enabled", '["add", "echo"]'),
        ('agent.timers=[{ every = "5m", message = "x" }]', "agent.timers", '[{ every = "5m", message = "x" }]'),
        ("llm.timeouts={ total = '5s' }", "llm.timeouts.total", '"5s"'),
    ],
)
def test_what_is_set_is_a_value_of_toml_or_else_a_text(folder: Path, text: str, key: str, value: str) -> None:
    assert origins(load(folder, LEAST, text))[key] == (value, "--set")


def test_a_quoted_key_can_be_set(folder: Path) -> None:
    assert load(folder, LEAST, 'llm.headers."X-Title"=ada').spec.model.headers == {"X-Title": "ada"}


@pytest.mark.parametrize("text", ["", "llm.model", "=x", "llm..model=x", "a b=x", "llm.model\nx=y", "[llm]=x"])
def test_what_is_no_key_with_a_value_cannot_be_set(folder: Path, text: str) -> None:
    assert problems(folder, LEAST, [text]) == [f"--set: must be KEY=VALUE, like llm.model=NAME, not {text!r}"]


def test_a_wrong_value_is_told_of_the_place_that_it_is_from(folder: Path) -> None:
    environ = {"ANIMA_THINK_MAX_ITERATIONS": "many", "ANIMA_LLM_MODLE": "x"}
    assert problems(folder, FILE + "total = 5\n", ["llm.concurrency=0", "llm.tmperature=1"], environ) == [
        "ANIMA_LLM_MODLE: no such setting, from the environment (did you mean 'ANIMA_LLM_MODEL'?)",
        "llm.concurrency: must be a whole number, 1 or more, not 0, from --set",
        "llm.tmperature: unknown key, from --set (did you mean 'temperature'?)",
        "think.max_iterations: must be a whole number, 1 or more, not 'many', from environment"
        " ANIMA_THINK_MAX_ITERATIONS",
        'retry.total: must be a duration like "250ms", "30s" or "5m", not 5 (write "5s")',
    ]


def test_other_variables_are_nobodys_business(folder: Path) -> None:
    load(folder, LEAST, environ={"ANIMA_DEBUG": "1", "ANIMATION": "x", "LLM_MODEL": "y"})


def test_paths_of_sets_and_of_the_environment_are_relative_to_where_we_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = folder / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    agent = load(folder, LEAST, "tools.root=.", environ={"ANIMA_HOME": "state"})
    assert (agent.spec.workspace.root, agent.home) == (here, here / "state")


def test_a_key_is_never_shown_wherever_it_is_from(folder: Path) -> None:
    text = FILE + '[llm.headers]\nX-Token = "sk-header"\n'
    text = text.replace("timeouts", 'base_url = "https://user:sk-url@example.org"\ntimeouts')
    for sets, environ, origin in [
        (["llm.api_key=sk-set"], {}, "--set"),
        ([], {"ANIMA_LLM_API_KEY": "sk-environment"}, "environment ANIMA_LLM_API_KEY"),
        ([], {"OPENAI_API_KEY": "sk-provider"}, "environment OPENAI_API_KEY"),
        (["llm.api_key=${MINE}"], {"MINE": "sk-mine"}, "environment MINE"),
        (["llm.api_key_env=MINE"], {"MINE": "sk-mine"}, "environment MINE"),
    ]:
        agent = load(folder, text, *sets, environ=environ)
        assert isinstance(agent.spec.model.api_key, Secret)
        found = origins(agent)
        assert found["llm.api_key"] == ('"***"', origin)
        assert found["llm.headers"][0] == '{ X-Token = "***" }'
        assert found["llm.base_url"][0] == '"https://***@example.org"'
        assert "sk-" not in repr(agent.values)
    assert origins(load(folder, text))["llm.api_key"] == ("none", "default")


def test_lines_are_those_of_keys_and_not_of_what_looks_like_one_in_a_text(folder: Path) -> None:
    text = '[agent]\nsystem_prompt = """\nname = "x"\n[llm]\n"""\nname = "ada"\n\n[llm] # here\nprovider = "local"\n'
    found = origins(load(folder, text))
    file = write(folder, text)
    assert found["agent.name"] == ('"ada"', f"{file}:6")
    assert found["llm.provider"] == ('"local"', f"{file}:9")


# Of all values


@given(path=st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_any_key_path_is_read_back_if_it_is_quoted(path: list[str]) -> None:
    quoted = ".".join(json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f") for name in path)
    assert parse_path(quoted) == tuple(path)


@given(text=st.text())
def test_any_text_is_a_key_path_or_none(text: str) -> None:
    path = parse_path(text)
    assert path is None or all(isinstance(name, str) for name in path)


@given(text=st.text())
def test_any_text_is_a_value_or_itself(text: str) -> None:
    value = parse_value(text)
    assert value == text or not isinstance(value, str) or text.strip()[:1] in "\"'"


@given(milliseconds=st.integers(0, 10**9))
def test_a_duration_is_written_as_one_reads_it(milliseconds: int) -> None:
    text = as_toml(Duration(milliseconds / 1000))
    assert parse_duration(json.loads(text)) == pytest.approx(milliseconds / 1000)


@given(size=st.integers(0, 2**42))
def test_a_size_is_written_as_one_reads_it(size: int) -> None:
    assert parse_size(json.loads(as_toml(Size(size)))) == size


def test_a_size_has_a_unit() -> None:
    assert [parse_size(text) for text in ("512B", "64KiB", "1GiB")] == [512, 65536, 1 << 30]
    for wrong in ("64", "64KB", "-1B", "1.5GiB", 64, ""):
        with pytest.raises(BadValue, match="must be a size like"):
            parse_size(wrong)


@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_a_value_is_written_in_one_line(value: object) -> None:
    assert len(as_toml(value).split("\n")) == 1
