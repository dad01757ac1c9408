"""`tree.toml`: what is said of mistakes, each at its key, all at once, and no other one made up from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anima.config import ConfigError, load_tree
from tests.anima.tree_files import (
    HOME,
    PIPELINE,
    SOURCE,
    WEB,
    Data,
    changed,
    imports_left_as_they_were,
    problems,
    setting,
    tree_file,
)

__all__ = ["imports_left_as_they_were", "tree_file"]

MISTAKES: dict[str, tuple[Callable[[Data], object], dict[str, str]]] = {
    "an unknown key at the top": (setting(rot="home"), {"rot": "unknown key (did you mean 'root'?)"}),
    "an unknown section": (setting(task={}), {"task": "did you mean 'tasks'?"}),
    "an unknown key of a supervisor": (setting(*HOME, stratgy="x"), {"supervisors.home.stratgy": "'strategy'"}),
    "an unknown key of a backoff": (
        setting(*PIPELINE, "backoff", inital="1s"),
        {"supervisors.pipeline.backoff.inital": "'initial'"},
    ),
    "an unknown key of a task": (setting(*SOURCE, shutdwn="1s"), {"tasks.source.shutdwn": "'shutdown'"}),
    "an unknown key of a process": (setting(*WEB, comand=["x"]), {"processes.web.comand": "'command'"}),
    "an unknown key of a probe": (setting(*WEB, "ready", evry="1s"), {"processes.web.ready.evry": "'every'"}),
    "no version": (setting(version=None), {"version": "is missing (write version = 1)"}),
    "a version to come": (setting(version=2), {"version": "must be 1, not 2"}),
    "a version that is a text": (setting(version="1"), {"version": "must be 1, not '1'"}),
    "a version that is a fraction": (setting(version=1.0), {"version": "must be 1, not 1.0"}),
    "no root": (setting(root=None), {"root": "is missing"}),
    "a root of another type": (setting(root=5), {"root": "must be the name of a supervisor, not 5"}),
    "an empty root": (setting(root=""), {"root": ""}),
    "a root that is not there": (setting(root="hom"), {"root": "there is no [supervisors.hom] (did you mean 'home'?)"}),
    "a root that is a task": (setting(root="source"), {"root": "there is no [supervisors.source]"}),
    "a section that is no table": (
        setting(supervisors=5),
        {"supervisors": "must be tables", "root": "there is no [supervisors.home]"},
    ),
    "a supervisor that is no table": (
        setting("supervisors", pipeline="x"),
        {"supervisors.pipeline": "must be a table, not 'x'"},
    ),
    "a task that is no table": (setting("tasks", source=[]), {"tasks.source": "must be a table, not []"}),
    "no children": (setting(*PIPELINE, children=None), {"supervisors.pipeline.children": "is missing"}),
    "no start": (setting(*SOURCE, start=None), {"tasks.source.start": "is missing"}),
    "no command": (setting(*WEB, command=None), {"processes.web.command": "is missing"}),
    "a number that is a text": (
        setting(*HOME, intensity="3"),
        {"supervisors.home.intensity": "a whole number, not '3'"},
    ),
    "a number that is a fraction": (setting(*HOME, intensity=2.5), {"supervisors.home.intensity": "a whole number"}),
    "a number that is a truth": (setting(*HOME, intensity=True), {"supervisors.home.intensity": "a whole number"}),
    "a duration without a unit": (setting(*HOME, period=5), {"supervisors.home.period": 'write "5s"'}),
    "a truth that is a text": (setting(*SOURCE, significant="no"), {"tasks.source.significant": "true or false"}),
    "a word that is not in its list": (
        setting(*HOME, strategy="one_for_al"),
        {"supervisors.home.strategy": "must be one of one_for_one, one_for_all, rest_for_one, not 'one_for_al'"},
    ),
    "a word of another type": (setting(*SOURCE, restart=["x"]), {"tasks.source.restart": "must be one of permanent"}),
    "a stop policy that is no word": (
        setting(*SOURCE, shutdown="brutal_kill"),
        {"tasks.source.shutdown": '"kill", or "never"'},
    ),
    "a command in one text": (setting(*WEB, command="python x"), {"processes.web.command": "a list, not 'python x'"}),
    "a part of a command of another type": (
        setting(*WEB, command=["python", 8000]),
        {"processes.web.command[1]": "must be a text, not 8000"},
    ),
    "a child of another type": (
        setting(*PIPELINE, children=["source", "worker", 5]),
        {"supervisors.pipeline.children[2]": "must be a text, not 5"},
    ),
    "an environment of another type": (setting(*WEB, env={"A": 1}), {"processes.web.env.A": "must be a text, not 1"}),
    "arguments that are no table": (setting(*SOURCE, args=[1]), {"tasks.source.args": "must be a table"}),
    "a start without a name": (setting(*SOURCE, start="jobs"), {"tasks.source.start": "must be 'module:name', not"}),
    "a start in no module": (setting(*SOURCE, start="nojobs:x"), {"tasks.source.start": "cannot import nojobs"}),
    "a start in a broken module": (
        setting(*SOURCE, start="broken:x"),
        {"tasks.source.start": "cannot import broken: RuntimeError: half a module"},
    ),
    "a start in a module that leaves": (
        setting(*SOURCE, start="leaving:x"),
        {"tasks.source.start": "cannot import leaving: SystemExit: 3"},
    ),
    "a start that is not in its module": (
        setting(*SOURCE, start="jobs:sorce"),
        {"tasks.source.start": "jobs has no 'sorce' (did you mean 'source'?)"},
    ),
    "a start that is no function": (
        setting(*SOURCE, start="jobs:number", args={}),
        {"tasks.source.start": "must be an async function, not int"},
    ),
    "a start that is not async": (
        setting(*SOURCE, start="jobs:plain", args={}),
        {"tasks.source.start": "must be an async function"},
    ),
    "a start that is a builtin function": (
        setting(*SOURCE, start="builtins:print", args={}),
        {"tasks.source.start": "must be an async function"},
    ),
    "an argument that is not taken": (
        setting(*SOURCE, args={"every": 1, "evry": 1}),
        {"tasks.source.args.evry": "did you mean 'every'?"},
    ),
    "an argument that is missing": (setting(*SOURCE, args={}), {"tasks.source.args": "'every'"}),
    "a child that is not there": (
        setting(*PIPELINE, children=["source", "worker", "workr"]),
        {"supervisors.pipeline.children": "there is no 'workr' (did you mean 'worker'?)"},
    ),
    "a child named twice in one list": (
        setting(*PIPELINE, children=["source", "worker", "source"]),
        {"supervisors.pipeline.children": "'source' is named twice"},
    ),
    "a child of two supervisors": (
        setting(*HOME, children=["web", "pipeline", "source"]),
        {"supervisors.pipeline.children": "'source' is a child already, in supervisors.home.children"},
    ),
    "a name of two tables": (
        setting("processes", source={"command": ["ls"]}),
        {"processes.source": "the name is used twice: it is tasks.source too"},
    ),
    "a task that is never used": (
        setting(*PIPELINE, children=["worker"]),
        {"tasks.source": "is never used"},
    ),
    "a supervisor that is never used": (
        setting("supervisors", spare={"children": []}),
        {"supervisors.spare": "is never used"},
    ),
    "a name with a slash": (
        lambda d: (
            d["tasks"].update({"a/b": d["tasks"].pop("source")}),
            setting(*PIPELINE, children=["a/b", "worker"])(d),
        ),
        {"tasks.a/b": "has no '/'"},
    ),
    "a significant child that is permanent": (
        setting(*SOURCE, significant=True, restart="permanent"),
        {"tasks.source.significant": "goes with transient or temporary"},
    ),
    "a significant child without auto_shutdown": (
        setting(*HOME, auto_shutdown="never"),
        {"supervisors.home": "'pipeline'"},  # the key is that of the supervisor, so the text has to name the child
    ),
    "a heartbeat without a beat": (setting(*SOURCE, heartbeat="1s"), {"tasks.source.heartbeat": "needs"}),
    "a limit below 0": (setting(*HOME, intensity=-1), {"supervisors.home.intensity": "must be"}),
    "a period of nothing": (setting(*HOME, period="0s"), {"supervisors.home.period": "must be"}),
    "a backoff that shrinks": (
        setting(*PIPELINE, "backoff", maximum="100ms"),
        {"supervisors.pipeline.backoff.maximum": "must be at least initial"},
    ),
    "an empty command": (setting(*WEB, command=[]), {"processes.web.command": "must be a list of texts"}),
    "a probe without a question": (setting(*WEB, ready={}), {"processes.web.ready": "exactly one of http, port, line"}),
    "a probe with two questions": (
        setting(*WEB, alive={"port": 1, "http": "http://127.0.0.1/"}),
        {"processes.web.alive": "exactly one of http, port"},
    ),
    "a URL without a scheme": (
        setting(*WEB, "ready", http="localhost:80"),
        {"processes.web.ready.http": "starts with http:// or https://, not 'localhost:80'"},
    ),
    "a port that is none": (
        setting(*WEB, "alive", port=70000),
        {"processes.web.alive.port": "between 1 and 65535, not 70000"},
    ),
    "a pattern that is none": (
        setting(*WEB, ready={"line": "("}),
        {"processes.web.ready.line": "no regular expression"},
    ),
    "a start_timeout of nothing": (setting(*SOURCE, start_timeout="0s"), {"tasks.source.start_timeout": "must be"}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_at_its_key_with_its_mend_and_nothing_else_is(file: Path, name: str) -> None:
    edit, expected = MISTAKES[name]
    found = problems(file, changed(edit))
    assert sorted(key for key, _ in found) == sorted(expected), found
    for key, text in found:
        assert expected[key] in text


def test_a_circle_is_drawn(file: Path) -> None:
    data = changed(
        setting("supervisors", a={"children": ["b"]}, b={"children": ["c"]}, c={"children": ["a"]}),
    )
    circles = [text for _, text in problems(file, data) if "circle" in text]
    assert circles == ["supervisors.a.children: a circle: a -> b -> c -> a"]


def test_a_root_that_is_a_child_is_a_circle_too(file: Path) -> None:
    found = problems(file, changed(setting(*PIPELINE, children=["source", "worker", "home"])))
    assert ("root", "root: 'home' is the root and a child, in supervisors.pipeline.children") in found
    assert any("a circle: home -> pipeline -> home" in text for _, text in found)


def test_all_mistakes_of_all_tables_are_told_at_once(file: Path) -> None:
    names = [
        "an unknown key at the top",
        "an unknown key of a supervisor",
        "an unknown key of a backoff",
        "an unknown key of a task",
        "an unknown key of a process",
        "a version to come",
        "a duration without a unit",
        "a start that is not in its module",
        "a part of a command of another type",
        "an environment of another type",
        "a supervisor that is never used",
        "a child that is not there",
    ]
    expected = {key for name in names for key in MISTAKES[name][1]}
    found = {key for key, _ in problems(file, changed(*(MISTAKES[name][0] for name in names)))}
    assert found == expected


def test_all_bad_values_of_one_table_are_told_at_once(file: Path) -> None:
    data = changed(
        setting(*HOME, intensity=-1, period="0s"),
        setting(*WEB, ready={"port": 0}, alive={"port": 0}),
        setting(*SOURCE, start="jobs:sorce", restart="permanent", significant=True, start_timeout="0s"),
    )
    text = "\n".join(text for _, text in problems(file, data))
    for wrong in ["intensity", "period", "ready", "alive", "'sorce'", "significant", "start_timeout"]:
        assert wrong in text


def test_a_problem_is_told_with_its_file(file: Path) -> None:
    file.write_text("version = 2")
    with pytest.raises(ConfigError) as caught:
        load_tree(file)
    assert str(caught.value).splitlines() == [f"{file}: {problem}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version = \n", "is not valid TOML: Invalid value (at line 1, column 11)"),
        (b"[supervisors.home]\n[supervisors.home]\n", "is not valid TOML"),
        (b"root = '\xff'", "is not a text in UTF-8"),
        pytest.param(b"version = " + b"9" * 5000, "is not valid TOML", id="a number that Python does not read"),
        pytest.param(b"version = " + b"[" * 5000, "is not valid TOML", id="so deep that the reader gives up"),
    ],
)
def test_what_is_no_toml_is_told_with_the_place(file: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_tree(file)
    (problem,) = caught.value.problems
    assert words in str(problem)


def test_a_file_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    for file, words in [(tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(ConfigError, match=words):
            load_tree(file)
