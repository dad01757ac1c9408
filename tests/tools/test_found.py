"""Tools by name: what installed packages bring, what a module has, and what to do about a name that leads to none."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

import anima_tools.builtin
from anima_tools import BadTool, Tool, UnknownTool, find_tools

BUILTIN = ["add", "clock", "echo", "edit_file", "http", "list_files", "read_file", "shell", "write_file"]


def test_the_built_in_tools_are_found_like_everybodys() -> None:
    assert sorted(point.name for point in entry_points(group="anima.tools")) == BUILTIN
    toolbox = find_tools(BUILTIN)
    assert [spec.name for spec in toolbox.specs] == BUILTIN
    assert all(toolbox.get(name) is getattr(anima_tools.builtin, name) for name in BUILTIN)


def test_no_names_mean_no_tools() -> None:
    assert len(find_tools([])) == 0


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_tools.py").write_text(
        "from anima_tools import tool\n"
        "@tool\n"
        "def greet(name: str) -> str:\n"
        "    '''Greet.'''\n"
        "    return f'hello {name}'\n"
        "def plain(): pass\n"
        "class Box:\n"
        "    inner = greet\n"
    )
    (tmp_path / "broken_tools.py").write_text("import no_such_module\n")
    (tmp_path / "failing_tools.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_tools", "broken_tools", "failing_tools"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "my_tools"


def test_a_tool_of_a_module_is_found(module: str) -> None:
    (tool,) = find_tools([f"{module}:greet"])
    assert isinstance(tool, Tool)
    assert tool(name="you") == "hello you"
    assert len(find_tools([f"{module}:Box.inner"])) == 1


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("read_flie", UnknownTool, "there is no tool 'read_flie'; did you mean 'read_file'"),
        ("xyz", UnknownTool, "valid: add, clock, echo, edit_file, http"),
        ("", UnknownTool, "valid: add, clock"),
        ("my_tools:great", UnknownTool, "did you mean 'my_tools:greet'"),
        ("my_tools:", UnknownTool, "did you mean 'my_tools:greet'"),
        ("no_such_module:greet", UnknownTool, "there is no module 'no_such_module'"),
        ("my_tools:plain", BadTool, "is no tool but function; put @tool above the function"),
        ("broken_tools:greet", BadTool, "cannot be imported: No module named 'no_such_module'"),
        ("failing_tools:greet", BadTool, "cannot be imported: ZeroDivisionError: division by zero"),
        ("..x:y", BadTool, "cannot be imported"),
        (":y", BadTool, "cannot be imported"),
    ],
)
def test_a_name_that_leads_to_no_tool_says_why(name: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        find_tools([name])
    assert says in str(caught.value)


@pytest.mark.usefixtures("module")
def test_two_packages_with_a_tool_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("greet", "my_tools:greet", "anima.tools"),
        EntryPoint("greet", "my_tools:greet", "anima.tools"),  # the same, found twice: that is none
        EntryPoint("echo", "anima_tools.builtin:echo", "anima.tools"),
        EntryPoint("echo", "my_tools:greet", "anima.tools"),
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: points)
    assert len(find_tools(["greet"])) == 1
    with pytest.raises(BadTool, match=r"'echo' is brought by anima_tools\.builtin:echo and my_tools:greet"):
        find_tools(["echo"])
