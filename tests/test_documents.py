"""Every example in a document runs, and prints what the document says; every key of a tree file is documented."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

import anima_supervisors
from anima.actors import actor_events
from anima.agents import agent_events
from anima.config import Tree, load_agent, load_config, notes
from anima.config._agent_tables import AgentFileTable
from anima.config._reference import MARK, described, reference
from anima.config._schema import fields_of, is_table
from anima.config._tables import SECTIONS
from anima.hub import hub_events
from anima_supervisors import Event, events_by_name

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return [block for found, block in BLOCK.findall(text) if found == language]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    bin = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=40)


def levelled(text: str) -> list[str]:
    """Without what differs from run to run: times, folders, milliseconds."""
    text = re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", text)
    text = re.sub(r'File ".*?(\w+\.py)"', r'File "\1"', text)
    text = re.sub(r"\b\d+\.\d s", "N s", text)
    text = re.sub(r"outage \d+ ms", "outage N ms", text)
    text = re.sub(r"\b\d+\.\d\d s", "N s", text)
    text = re.sub(r'"seconds": [\d.]+', '"seconds": N', text)
    text = re.sub(r'"run": "\w+"', '"run": ID', text)
    return text.splitlines()


def test_the_first_agent_of_the_readme_answers_what_it_shows(tmp_path: Path) -> None:
    init, ask, *shown = blocks("README.md", "console")[0].splitlines()
    assert run(["bash", "-c", init.removeprefix("$ ")], tmp_path).returncode == 0
    ran = run(["bash", "-c", ask.removeprefix("$ ")], tmp_path)
    assert ran.stdout.splitlines() == shown, ran.stderr


def test_the_commands_of_the_readme_name_files_that_are_there_and_agents_that_answer(tmp_path: Path) -> None:
    lines = [line for block in blocks("README.md", "sh") for line in block.splitlines() if line.startswith("anima ")]
    assert len(lines) == 3
    for line in lines:
        assert (ROOT / line.split()[2]).is_file(), line
    team = next(line for line in lines if "team" in line)
    ran = run(["bash", "-c", f"ANIMA_HOME={tmp_path} {team}"], ROOT)
    assert ran.returncode == 0
    assert "supervisor starts it again" in ran.stdout


def test_the_program_on_the_first_screen_of_the_readme_does_what_it_shows(tmp_path: Path) -> None:
    (tree,) = blocks("README.md", "toml")
    feeds = blocks("README.md", "python")[0]
    (tmp_path / "tree.toml").write_text(tree, encoding="utf-8")
    (tmp_path / "feeds.py").write_text(feeds, encoding="utf-8")
    command, _, shown = blocks("README.md", "console")[1].partition("\n")
    ran = run(command.removeprefix("$ ").split(), tmp_path)
    assert ran.returncode == 0
    assert levelled(ran.stderr + ran.stdout) == levelled(shown)


def test_the_service_in_the_readme_prints_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(blocks("README.md", "python")[1], encoding="utf-8")
    command, _, shown = blocks("README.md", "console")[2].partition("\n")
    ran = run(command.removeprefix("$ ").split(), tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert levelled(ran.stdout) == levelled(shown)


def test_the_actor_in_the_readme_prints_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / "accounts.py").write_text(blocks("README.md", "python")[2], encoding="utf-8")
    command, _, shown = blocks("README.md", "console")[3].partition("\n")
    ran = run(command.removeprefix("$ ").split(), tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == shown


def test_the_examples_of_the_library_print_what_its_readme_shows(tmp_path: Path) -> None:
    programs = blocks("supervisors/README.md", "python")[:-1]
    outputs = blocks("supervisors/README.md", "")
    assert len(programs) == len(outputs)
    for program, shown in zip(programs, outputs, strict=True):
        (tmp_path / "example.py").write_text(program, encoding="utf-8")
        ran = run([sys.executable, "example.py"], tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout == shown


def test_the_examples_of_the_tutorial_of_actors_print_what_it_shows(tmp_path: Path) -> None:
    programs, outputs = blocks("docs/actors.md", "python"), blocks("docs/actors.md", "")
    assert len(programs) == len(outputs)
    for program, shown in zip(programs, outputs, strict=True):
        (tmp_path / "example.py").write_text(program, encoding="utf-8")
        ran = run([sys.executable, "-X", "utf8", "example.py"], tmp_path)
        assert ran.stdout == shown, ran.stderr


def test_the_tutorial_of_agents_does_what_it_shows_from_beginning_to_end(tmp_path: Path) -> None:
    """Files are written and commands are run in the order in which they stand there."""
    text = (ROOT / "docs/agents.md").read_text(encoding="utf-8")
    folder, ran_commands = tmp_path, 0
    for language, block in BLOCK.findall(text):
        if language == "console":
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                if command.startswith("cd "):
                    folder = folder / command.removeprefix("cd ")
                    continue
                ran = run(["bash", "-c", f"{command} 2>&1"], folder)
                assert ran.returncode == 0, ran.stdout
                assert sorted(levelled(ran.stdout)) == sorted(levelled(shown)), command
                ran_commands += 1
        elif block.startswith("# "):
            (folder / block.partition("\n")[0].removeprefix("# ")).write_text(block, encoding="utf-8")
    tests = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_forecaster.py"], folder)
    assert tests.returncode == 0, tests.stdout
    assert ran_commands == 6


def test_the_service_of_the_tutorial_has_at_most_forty_lines_of_code() -> None:
    service = blocks("docs/actors.md", "python")[-1]
    assert len([line for line in service.splitlines() if line.strip()]) <= 40


def test_every_guarantee_is_shown_by_tests_that_exist() -> None:
    text = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    files = [(file.name, file.read_text(encoding="utf-8")) for file in (ROOT / "tests").rglob("*.py")]
    rows = re.findall(r"^\| .* \|(.*)\|$", text, re.MULTILINE)
    cited = {name for row in rows for name in re.findall(r"`(\w[\w.]*)`", row)}
    assert cited
    for name in cited:
        assert any(name == file if name.endswith(".py") else f"def {name}(" in body for file, body in files), name


def test_the_example_of_a_test_passes(tmp_path: Path) -> None:
    program = blocks("supervisors/README.md", "python")[-1]
    (tmp_path / "test_example.py").write_text(program, encoding="utf-8")
    ran = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_example.py"], tmp_path)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_tree_file_is_documented_and_nothing_else_is(section: str) -> None:
    text = (ROOT / "docs/tree.md").read_text(encoding="utf-8")
    (table,) = re.findall(rf"^## `\[{section}\.NAME\]`\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`[^|]*`) \|", table, re.MULTILINE)
    documented = [key for row in rows for key in re.findall(r"`(\w+)`", row)]
    assert sorted(documented) == sorted(field.name for field in attrs.fields(SECTIONS[section]))
    for field in attrs.fields(SECTIONS[section]):
        for inner in _inner_keys(field.type):
            assert f"`{inner}`" in table, f"{section}: {field.name}.{inner}"


def _inner_keys(kind: Any) -> list[str]:
    tables = [part for part in getattr(kind, "__args__", ()) if attrs.has(part)]
    return [field.name for table in tables if table.__name__.endswith("Table") for field in attrs.fields(table)]


def test_every_event_is_documented_with_its_fields() -> None:
    text = (ROOT / "docs/tree.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (`[a-z]+\.[^|]*) \|([^|]*)\|$", text, re.MULTILINE))
    documented = {name: cell for names, cell in rows.items() for name in re.findall(r"`([a-z_.]+)`", names)}
    kinds = {**events_by_name(), **actor_events(), **hub_events(), **agent_events()}
    assert documented.keys() == kinds.keys()
    common = {field.name for field in attrs.fields(Event)}
    for name, kind in kinds.items():
        for field in attrs.fields(kind):
            assert field.name in common or f"`{field.name}`" in documented[name], f"{name}: {field.name}"


def test_every_rule_that_the_code_cites_is_in_the_rules() -> None:
    text = (ROOT / "docs/supervision.md").read_text(encoding="utf-8")
    known = set(re.findall(r"\b([A-H]\d)\b", text))
    package = Path(anima_supervisors.__file__).parent
    cited = set[str]()
    for file in package.glob("*.py"):
        for rules in re.findall(r"\((?:rules? )?([A-H]\d[^)]*)\)", file.read_text(encoding="utf-8")):
            cited |= set(re.findall(r"\b[A-H]\d\b", rules))
    assert cited
    assert cited <= known


@functools.cache
def _configs() -> list[Path]:
    return sorted((ROOT / "configs").glob("*.toml"))


@pytest.mark.parametrize("file", _configs(), ids=lambda file: file.name)
def test_every_file_in_configs_is_valid_and_begins_with_what_it_shows_and_how_it_is_run(file: Path) -> None:
    match load_config(file, environ={"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "x"}):
        case Tree() as tree:
            assert tree.spec.children
            assert notes(tree) == []
        case agent:
            assert agent.notes == ()
    header = file.read_text(encoding="utf-8").partition("\n\n[")[0]
    assert header.startswith("# ")
    assert f"configs/{file.name}" in header


def test_the_reference_of_agent_files_is_that_of_their_tables() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8").partition(f"{MARK}\n\n")[2]
    assert text == reference(), "make it anew: CONTRIBUTING.md says how"


def test_every_key_of_an_agent_file_is_described_where_its_table_is() -> None:
    for table in _tables(AgentFileTable):
        about, texts = described(table)
        own = [name for name, kind in fields_of(table).items() if not (table is AgentFileTable and is_table(kind))]
        assert about
        assert sorted(texts) == sorted(own), table


def _tables(table: type) -> list[type]:
    return [table, *(one for kind in fields_of(table).values() if is_table(kind) for one in _tables(kind))]


def test_the_agent_file_in_the_reference_is_valid(tmp_path: Path) -> None:
    [text] = blocks("docs/configuration.md", "toml")
    (tmp_path / "agent.toml").write_text(text, encoding="utf-8")
    assert load_agent(tmp_path / "agent.toml", environ={}).spec.name == "ada"


def test_the_demo_survives_its_crashes_and_stops_in_order(tmp_path: Path) -> None:
    """It is up within its first second, and what is started first is stopped last."""
    command = ["anima", "supervise", str(ROOT / "configs/demo.toml"), "--for", "3s"]
    ran = run(command, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "home/flaky #1 crashed" in ran.stderr
    order = ran.stdout.splitlines()[-1].removeprefix("stop order").split()
    expected = [
        "flaky",
        *("newsroom/reporter", "newsroom/archive", "newsroom/sports"),
        *(f"newsroom/translators/{number}" for number in (3, 2, 1)),
        *("newsroom/translators", "newsroom", "watch/trend", "watch/sampler", "watch"),
        *("pipeline/report", "pipeline/counter", "pipeline/reader", "pipeline", "site", "desk"),
    ]
    # One that waits for its restart at the end has nothing to stop.
    assert order == [name for name in expected if name in order]
    assert {"newsroom", "watch", "pipeline", "site", "desk"} <= set(order)
    assert "home/newsroom/sports #1 crashed" in ran.stderr
    assert re.search(r"home/newsroom/translators/\d #1 crashed", ran.stderr)
