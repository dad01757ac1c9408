"""Every example in the README runs, and prints what it shows; its tables say what is so."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import attrs

import anima_tools.builtin
from anima_tools import Effect, Tool, Workspace, tool

README = Path(__file__).parents[2] / "tools/README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FIRST, LAST = (block for language, block in BLOCK.findall(TEXT) if language == "python")


def rows(heading: str) -> list[list[str]]:
    """The rows of the first table after a heading, without its head."""
    part = TEXT.partition(f"{heading}\n")[2]
    table = re.search(r"(^\|.*\n)+", part, re.MULTILINE)
    assert table is not None
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=40)


def test_the_first_program_prints_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(FIRST, encoding="utf-8")
    (shown,) = (block for language, block in BLOCK.findall(TEXT) if language == "")
    ran = run([sys.executable, "-X", "utf8", "example.py"], tmp_path)
    assert ran.stdout == shown, ran.stderr


def test_the_example_of_a_test_passes(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(LAST, encoding="utf-8")
    ran = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_example.py"], tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout


def test_the_entry_point_shown_is_one_of_the_group_that_is_looked_at() -> None:
    (shown,) = (block for language, block in BLOCK.findall(TEXT) if language == "toml")
    assert list(tomllib.loads(shown)["project"]["entry-points"]) == ["anima.tools"]


def test_the_table_of_tools_says_what_they_declare() -> None:
    table = {name: (effect, deadline, cap) for name, effect, deadline, cap, _ in rows("## The tools that come with it")}
    tools: list[Tool] = [getattr(anima_tools.builtin, name) for name in anima_tools.builtin.__all__]
    assert table == {tool.name: (tool.effect.value, f"{tool.deadline:g}", str(tool.output_cap)) for tool in tools}


def test_the_table_of_options_names_all_of_them_with_their_defaults() -> None:
    options = [parameter for parameter in inspect.signature(tool).parameters.values() if parameter.name != "function"]
    table = {name: default for name, default, _ in rows("## A tool")}
    assert list(table) == [parameter.name for parameter in options]
    assert table["effect"] == str(options[2].default)
    assert float(table["deadline"]) == options[3].default
    assert int(table["output_cap"]) == options[4].default


def test_the_tables_of_effects_and_of_the_workspace_are_complete() -> None:
    assert [name for name, *_ in rows("### Effects")] == [str(effect) for effect in Effect]
    assert [name for name, _ in rows("## A workspace")] == [field.name for field in attrs.fields(Workspace)]
