"""`[agents.NAME]` in a tree file: what it becomes, how it runs, and what is said of mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anima.actors import open_system
from anima.agents import Agent, AgentTurnEnded, Note, Retention, StopReason, Task, open_home
from anima.config import AgentFile, ConfigError, Tree, load_config, load_tree, notes, outline
from anima.config._schema import setting_paths
from anima.config._tables import AgentPlaceTable
from anima.hub import Hub
from anima.llm import Secret
from anima_supervisors import After, ChildStartFailed, Inline, Kill, Restart, SupervisorSpec
from anima_supervisors.testing import EventLog, kill
from tests.anima.agent_files import folder, write
from tests.anima.tree_files import toml

__all__ = ["folder"]

CONFIGS = Path(__file__).parents[2] / "configs"

TREE = """
version = 1
root = "home"

[supervisors.home]
children = ["room"]

[supervisors.room]
intensity = 10
children = ["ada"]

"""

INLINE = """
[agents.ada.agent]
description = "from the tree"
capabilities = ["count"]
subscribe = ["news.*"]

[agents.ada.llm]
provider = "scripted"
file = "script.toml"
"""

CONFIG = """
[agent]
name = "researcher"
description = "from the file"
persona = "persona.md"

[llm]
provider = "scripted"
model = "small"
file = "script.toml"

[tools]
enabled = ["clock"]
"""


@pytest.fixture
def tree(folder: Path) -> Path:
    """A folder with a script, and a folder below it with another one and an agent file."""
    write(folder, 'repeat = true\nanswers = [{ say = "from the tree" }]', "script.toml")
    below = folder / "below"
    below.mkdir()
    write(below, 'repeat = true\nanswers = [{ say = "from the file" }]', "script.toml")
    write(below, "You research.", "persona.md")
    write(below, CONFIG, "researcher.toml")
    return folder


def load(folder: Path, more: str, *sets: str, environ: Mapping[str, str] | None = None) -> Tree:
    return load_tree(write(folder, TREE + more, "tree.toml"), sets=sets, environ=environ or {})


def ada(tree: Tree) -> AgentFile:
    [(path, agent)] = tree.agents.items()
    assert path == "home/room/ada"
    return agent


def problems(folder: Path, more: str, *sets: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, more, *sets, environ=environ)
    return [str(problem) for problem in caught.value.problems]


# What it becomes


def test_an_agent_is_described_in_the_tree_and_called_as_its_table_is(tree: Path) -> None:
    agent = ada(load(tree, INLINE))
    assert (agent.spec.name, agent.spec.description, agent.file) == ("ada", "from the tree", tree / "tree.toml")
    assert agent.spec.model.file == tree / "script.toml"
    assert (agent.spec.workspace.root, agent.spec.workspace.outputs) == (tree, tree / ".anima/outputs")


def test_an_agent_is_described_in_a_file_of_its_own_whose_paths_are_its_own(tree: Path) -> None:
    agent = ada(load(tree, '[agents.ada]\nconfig = "below/researcher.toml"\n'))
    below = tree / "below"
    assert (agent.spec.name, agent.spec.persona, agent.file) == (
        "researcher",
        "You research.",
        below / "researcher.toml",
    )
    assert (agent.spec.model.file, agent.spec.workspace.root) == (below / "script.toml", below)
    assert agent.home == tree / ".anima"  # there is one home for all


def test_what_stands_in_the_tree_comes_before_the_file_key_by_key_and_each_path_is_relative_to_where_it_stands(
    tree: Path,
) -> None:
    agent = ada(load(tree, '[agents.ada]\nconfig = "below/researcher.toml"\n' + INLINE))
    assert (agent.spec.name, agent.spec.description, agent.spec.persona) == (
        "researcher",
        "from the tree",
        "You research.",
    )
    assert agent.spec.model.name == "scripted:small"
    assert agent.spec.model.file == tree / "script.toml"
    found = {setting.key: setting.origin for setting in agent.values}
    assert found["agent.description"] == f"{tree / 'tree.toml'}:16"
    assert found["llm.model"] == f"{tree / 'below' / 'researcher.toml'}:9"


def test_a_tools_module_is_found_beside_the_file_that_names_it_and_starts_still_beside_the_tree(tree: Path) -> None:
    tool = 'from anima_tools import tool\n@tool\ndef {0}() -> str:\n    "A tool."\n    return "{0}"\n'
    write(tree / "below", tool.format("theirs"), "theirs.py")
    write(tree, tool.format("ours") + "async def job(): ...\n", "ours.py")
    write(tree / "below", "raise RuntimeError('the wrong one')\n", "work.py")
    write(tree, "async def job(): ...\n", "work.py")
    write(tree / "below", CONFIG.replace('["clock"]', '["theirs:theirs", "ours:ours"]'), "researcher.toml")
    more = '[agents.ada]\nconfig = "below/researcher.toml"\n[tasks.job]\nstart = "work:job"\n'
    text = (TREE + more).replace('children = ["ada"]', 'children = ["ada", "job"]')
    # The agent is built before the task, which must not care.
    text = text.replace("[tasks.job]", "[tasks]\n[tasks.job]")
    loaded = load_tree(write(tree, text, "tree.toml"), environ={})
    assert [tool.name for tool in ada(loaded).spec.toolbox] == ["theirs", "ours"]


def test_its_place_has_what_every_child_has(tree: Path) -> None:
    more = """
        [agents.ada]
        restart = "transient"
        shutdown = "kill"
        start_timeout = "3s"
        mailbox = { capacity = 5 }
        attempts = 2
    """
    room = load(tree, more + INLINE).spec.children[0].start
    assert isinstance(room, SupervisorSpec)
    [child] = room.children
    assert (child.restart, child.shutdown, child.start_timeout) == (Restart.TRANSIENT, Kill(), 3.0)
    [child] = load(tree, INLINE).spec.children[0].start.children  # type: ignore[union-attr]
    assert (child.restart, child.shutdown, child.start_timeout) == (Restart.PERMANENT, After(10.0), None)


def test_an_outline_says_which_model_thinks(tree: Path) -> None:
    loaded = load(tree, '[agents.ada]\nconfig = "below/researcher.toml"\n')
    assert "   └─ ada  agent (scripted:small)  permanent  shutdown 10 s" in outline(loaded)


def test_the_notes_of_a_tree_have_those_of_its_agents(tree: Path) -> None:
    write(tree / "below", 'home = "x"\n' + CONFIG, "researcher.toml")
    loaded = load(tree, '[agents.ada]\nconfig = "below/researcher.toml"\n[agents.ada.think]\nauto_memory = true\n')
    assert notes(loaded) == [
        "home/room/ada: home: that of the tree is taken",
    ]


def test_the_home_of_a_tree_is_beside_it_or_where_it_says_or_where_the_environment_or_a_set_says(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree / "below")
    assert load(tree, INLINE).home == tree / ".anima"
    file = write(tree, 'home = "state"\n' + TREE + INLINE, "tree.toml")
    assert load_tree(file, environ={}).home == tree / "state"
    assert load_tree(file, environ={"ANIMA_HOME": "here"}).home == tree / "below/here"
    loaded = load_tree(file, sets=["home=set"], environ={"ANIMA_HOME": "here"})
    assert loaded.home == ada(loaded).home == tree / "below/set"


def test_how_much_is_kept_is_said_by_the_tree(tree: Path) -> None:
    write(tree / "below", CONFIG + '[journal]\nkeep = "1h"\n', "researcher.toml")
    more = '[agents.ada]\nconfig = "below/researcher.toml"\n[journal]\nkeep = "30d"\n'
    loaded = load(tree, more, "journal.size=1MiB")
    assert loaded.retention == Retention(keep=30 * 86_400.0, size=1 << 20)
    assert "home/room/ada: journal: that of the tree is taken" in notes(loaded)
    assert problems(tree, INLINE + '[journal]\nkeep = "30"\nsze = 1\n', "journal.size=1MB") == [
        """journal.keep: must be a duration like "250ms", "30s" or "5m", not '30'""",
        """journal.size: must be a size like "64KiB", "10MiB" or "1GiB", not '1MB', from --set""",
        "journal.sze: unknown key (did you mean 'size'?)",
    ]


def test_two_agents_that_would_take_each_others_memories_for_their_own_are_a_mistake(tree: Path) -> None:
    text = TREE.replace('["ada"]', '["ada", "eve"]')
    for name in ("ada", "eve"):
        model = f'provider = "scripted"\nfile = "script.toml"\n[agents.{name}.think]\nauto_memory = true\n'
        text += f'[agents.{name}.agent]\nname = "same"\n[agents.{name}.llm]\n{model}'
    file = write(tree, text, "tree.toml")
    with pytest.raises(ConfigError, match=r"agents.eve: has the agent.name and the memory of agents.ada"):
        load_tree(file, environ={})
    load_tree(file, environ={}, sets=["agents.eve.memory.path=other.memory"])


def test_the_environment_speaks_of_all_agents_but_not_of_who_they_are(tree: Path) -> None:
    environ = {"ANIMA_LLM_TEMPERATURE": "0", "ANIMA_AGENT_NAME": "eve", "ANIMA_LLM_API_KEY": "sk-x"}
    agent = ada(load(tree, INLINE, environ=environ))
    assert (agent.spec.name, agent.spec.model.temperature) == ("ada", 0)
    assert agent.spec.model.api_key == Secret("sk-x")


def test_a_set_is_for_one_agent_or_for_any_other_key_of_the_tree(tree: Path) -> None:
    sets = ["agents.ada.llm.temperature=1", "agents.ada.shutdown=3s", "supervisors.room.intensity=7"]
    loaded = load(tree, INLINE, *sets, environ={"ANIMA_LLM_TEMPERATURE": "0"})
    room: Any = loaded.spec.children[0].start
    assert (ada(loaded).spec.model.temperature, room.intensity) == (1, 7)
    assert room.children[0].shutdown == After(3.0)


def test_a_file_of_either_kind_is_what_it_describes(tree: Path) -> None:
    assert isinstance(load_config(write(tree, TREE + INLINE, "tree.toml"), environ={}), Tree)
    assert isinstance(load_config(tree / "below" / "researcher.toml", environ={}), AgentFile)


# Mistakes


def test_a_mistake_is_told_with_the_file_in_which_it_stands(tree: Path) -> None:
    config = write(
        tree / "below", CONFIG.replace("provider", "providr") + "[think]\nspawn_depth = -1\n", "researcher.toml"
    )
    more = '[agents.ada]\nconfig = "below/researcher.toml"\nrestrat = "x"\n[agents.ada.budget]\ncost = 0\n'
    found = problems(tree, more)
    assert found == [
        "agents.ada.restrat: unknown key (did you mean 'restart'?)",
        f"{config}: llm.provider: is missing",
        f"{config}: llm.providr: unknown key (did you mean 'provider'?)",
        f"{config}: think.spawn_depth: must be a whole number, 0 or more, not -1",
        "agents.ada.budget.cost: must be a number above 0, not 0",
    ]
    with pytest.raises(ConfigError) as caught:
        load_tree(tree / "tree.toml", environ={})
    assert str(caught.value).splitlines()[1] == f"{config}: llm.provider: is missing"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[agents]\nada = 5\n", "agents.ada: must be a table, not 5"),
        ("[agents.ada]\nllm = 5\n", "agents.ada.llm: must be a table, not 5"),
        ("[agents.ada.llm]\nmodel = 'x'\n", "agents.ada.llm.provider: is missing"),
        ("[agents.ada]\n", "agents.ada.llm.provider: is missing"),
        ("[agents.ada.lm]\nx = 1\n", "agents.ada.lm: unknown key (did you mean 'llm'?)"),
        (
            INLINE + "[agents.ada.think]\nreflecton = true\n",
            "agents.ada.think.reflecton: unknown key (did you mean 're",
        ),
        (
            INLINE + "[agents.ada.mailbox]\ncapacity = 0\n",
            "agents.ada.mailbox.capacity: must be a whole number, 1 or mo",
        ),
        ("[agents.ada]\nattempts = 0\n" + INLINE, "agents.ada.attempts: must be a whole number, 1 or more, not 0"),
        ("[agents.ada]\nsignificant = true\n" + INLINE, "agents.ada.significant: goes with transient or temporary"),
        ("[agents.ada]\nconfig = 5\n" + INLINE, "agents.ada.config: must be a text, not 5"),
        ("[agents.ada]\nconfig = 'nowhere.toml'\n", "FOLDER/nowhere.toml: cannot be read: No such file or directory"),
        ("[agents.ada]\nconfig = 'below'\n", "FOLDER/below: cannot be read: Is a directory"),
        ("[agents.ada]\nconfig = 'script.toml'\n", "FOLDER/script.toml: "),
        ("[agents.ada]\nconfig = 'tree.toml'\n", "agents.ada.config: FOLDER/tree.toml describes a tree, not an agent"),
    ],
)
def test_a_mistake_is_told_at_its_key(tree: Path, more: str, said: str) -> None:
    assert problems(tree, more)[0].startswith(said.replace("FOLDER", str(tree)))


def test_mistakes_of_what_was_set_say_so(tree: Path) -> None:
    sets = ["agents.eve.llm.model=x", "agents.ada.llm.modl=x", "agents.ada.attempts=0", "supervisors.room.intensity=x"]
    assert sorted(problems(tree, INLINE, *sets, environ={"ANIMA_LLM_MODL": "x"})) == [
        "ANIMA_LLM_MODL: no such setting, from the environment (did you mean 'ANIMA_LLM_MODEL'?)",
        "agents.ada.attempts: must be a whole number, 1 or more, not 0, from --set",
        "agents.ada.llm.modl: unknown key, from --set (did you mean 'model'?)",
        "agents.eve.llm.model: there is no agent 'eve', from --set (valid: ada)",
        "supervisors.room.intensity: must be a whole number, not 'x', from --set",
    ]


def test_a_home_that_is_no_path_is_told(tree: Path) -> None:
    file = write(tree, "home = 5\n" + TREE + INLINE, "tree.toml")
    with pytest.raises(ConfigError, match="home: must be a text, not 5"):
        load_tree(file, environ={})


_VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["5s", "local", "below", "."]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=2),
    max_leaves=4,
)
_KEYS = st.sampled_from([*attrs.fields_dict(AgentPlaceTable), "anything"])
_INNER = st.sampled_from([".".join(path) for path in setting_paths()])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.dictionaries(_KEYS, _VALUES, max_size=4),
    sets=st.lists(st.builds("agents.ada.{}={}".format, _INNER | _KEYS, st.text(max_size=6)), max_size=3),
)
@example(keys={"config": "x" * 5000}, sets=["agents.ada" + ".a" * 3000 + "=1", "agents=1", "agents.ada=1"])
@example(keys={"agent": {"capabilities": [{"name": "a", "attributes": {"a": []}}]}}, sets=["home=\0"])
def test_whatever_stands_in_a_place_is_an_agent_or_an_error(tree: Path, keys: dict[str, Any], sets: list[str]) -> None:
    file = write(tree, f"{TREE}\n[agents]\nada = {toml(keys)}\n", "tree.toml")
    try:
        outline(load_tree(file, sets=sets, environ={}))
    except ConfigError as error:
        assert error.problems


# Running


async def test_agents_of_a_tree_are_asked_find_each_other_and_listen(tree: Path) -> None:
    loaded = load(tree, INLINE)
    log = EventLog()
    async with (
        open_home() as home,
        open_system(loaded.in_home(home), name=loaded.root, on_event=Inline(log)) as system,
    ):
        answer = await system.ref("home/room/ada").ask(Task("Who are you?"))
        assert (answer.text, answer.stop_reason) == ("from the tree", StopReason.END_TURN)
        hub = Hub.of(system)
        assert [ref.path for ref in hub.find("count")] == ["home/room/ada"]
        assert await hub.publish("news.sport", Note("goal")) == 1
        await system.ref("home/room/ada").ask(Task("Again."))
    assert len(log.of(AgentTurnEnded)) == 3


async def test_an_agent_of_a_tree_that_crashes_is_restarted_in_its_home(tree: Path) -> None:
    loaded = load(tree, INLINE)
    async with open_home() as home, open_system(loaded.in_home(home), name=loaded.root) as system:
        ref = system.ref("home/room/ada")
        kill(system.supervisor, "room/ada")
        assert (await ref.ask(Task("Who are you?"))).text == "from the tree"


async def test_without_a_home_an_agent_of_a_tree_does_not_start(tree: Path) -> None:
    with pytest.raises(ChildStartFailed) as caught:
        async with open_system(load(tree, INLINE).spec):
            pass
    cause: BaseException | None = caught.value
    while cause is not None and "has no home" not in str(cause):
        cause = cause.__cause__
    assert cause is not None


async def test_the_team_answers_a_question_together() -> None:
    loaded = load_tree(CONFIGS / "team.toml", environ={})
    log = EventLog()
    async with open_home() as home, open_system(loaded.in_home(home), name="team", on_event=Inline(log)) as system:
        for _ in range(2):
            answer = await system.ref("team/coordinator").ask(Task("What happens when a part fails?"))
            assert (answer.stop_reason, answer.text[:18]) == (StopReason.END_TURN, "A part that fails ")
    ended = [event.path for event in log.of(AgentTurnEnded)]
    assert ended == ["team/researcher", "team/writer", "team/coordinator"] * 2


async def test_hello_uses_a_tool_and_answers_each_time() -> None:
    loaded = load_config(CONFIGS / "hello.toml", environ={})
    assert isinstance(loaded, AgentFile)
    async with open_home() as home, open_system() as system:
        hello = await system.spawn("hello", Agent, loaded.spec, home)
        for _ in range(2):
            answer = await hello.ask(Task("Who are you?"))
            assert (answer.stop_reason, answer.text[:6], answer.steps) == (StopReason.END_TURN, "Hello!", 3)
