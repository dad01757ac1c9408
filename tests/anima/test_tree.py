"""`tree.toml`: from the file to frozen specs, or to all that is wrong with it."""

from __future__ import annotations

import copy
import functools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anima.config import ConfigError, HttpOk, Tree, load_tree, notes, outline
from anima_supervisors import (
    After,
    Alive,
    AutoShutdown,
    Backoff,
    ChildSpec,
    Kill,
    Never,
    OutputLine,
    Ready,
    Restart,
    Strategy,
    SupervisorSpec,
    TcpPort,
)

JOBS = """
async def source(*, every): ...
async def worker(*, stop, task_status): ...
async def beating(*, beat): ...
def plain(): ...
number = 5
"""

Data = dict[str, Any]

BASE: Data = {
    "version": 1,
    "root": "home",
    "supervisors": {
        "home": {
            "strategy": "one_for_one",
            "intensity": 4,
            "period": "10s",
            "auto_shutdown": "any_significant",
            "children": ["web", "pipeline"],
        },
        "pipeline": {
            "strategy": "rest_for_one",
            "restart": "transient",
            "significant": True,
            "shutdown": "30s",
            "backoff": {"initial": "200ms", "maximum": "1s", "factor": 3, "jitter": 0.5, "reset_after": "2m"},
            "children": ["source", "worker"],
        },
    },
    "tasks": {
        "source": {
            "start": "jobs:source",
            "args": {"every": 1},
            "restart": "transient",
            "shutdown": "kill",
            "start_timeout": "3s",
        },
        "worker": {"start": "jobs:worker", "shutdown": "never"},
    },
    "processes": {
        "web": {
            "command": ["python", "-m", "http.server"],
            "ready": {"http": "http://127.0.0.1:8000/", "timeout": "9s"},
            "alive": {"port": 8000, "failures": 2},
            "env": {"A": "b"},
            "cwd": "site",
        },
    },
}


def toml(value: object) -> str:
    """A value as TOML, tables inline."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case _:
            return repr(value)


def document(data: Data) -> str:
    return "\n".join(f"{toml(key)} = {toml(value)}" for key, value in data.items())


def changed(*edits: Callable[[Data], object]) -> Data:
    data = copy.deepcopy(BASE)
    for edit in edits:
        edit(data)
    return data


def setting(*path: str, **values: object) -> Callable[[Data], object]:
    """An edit of the table at `path`; what is set to None is taken away."""

    def edit(data: Data) -> None:
        table = data
        for name in path:
            table = table[name]
        for name, value in values.items():
            if value is None:
                del table[name]
            else:
                table[name] = value

    return edit


HOME = ("supervisors", "home")
PIPELINE = ("supervisors", "pipeline")
SOURCE = ("tasks", "source")
WORKER = ("tasks", "worker")
WEB = ("processes", "web")


@pytest.fixture(autouse=True)
def _imports_left_as_they_were(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder of a tree file goes on the import path of the whole program; here that is the test run's."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in set(sys.modules) - before:
        if name in ("jobs", "broken", "leaving"):
            del sys.modules[name]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "jobs.py").write_text(JOBS)
    (tmp_path / "broken.py").write_text("raise RuntimeError('half a module')\n")
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)\n")
    return tmp_path / "tree.toml"


def load(file: Path, data: Data) -> Tree:
    file.write_text(document(data), encoding="utf-8")
    return load_tree(file)


def problems(file: Path, data: Data) -> list[tuple[str, str]]:
    """The key and the whole text of each problem."""
    with pytest.raises(ConfigError) as caught:
        load(file, data)
    assert caught.value.problems, "a file that is refused without a reason"
    return [(problem.key, str(problem)) for problem in caught.value.problems]


# A file that is right


def child(spec: SupervisorSpec, id: str) -> ChildSpec:
    return next(child for child in spec.children if child.id == id)


def test_supervisors_become_specs_with_all_their_values(file: Path) -> None:
    tree = load(file, BASE)
    assert tree.root == "home"
    assert (tree.spec.strategy, tree.spec.intensity, tree.spec.period) == (Strategy.ONE_FOR_ONE, 4, 10.0)
    assert tree.spec.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT
    assert [child.id for child in tree.spec.children] == ["web", "pipeline"]
    pipeline = child(tree.spec, "pipeline")
    assert (pipeline.restart, pipeline.significant, pipeline.shutdown) == (Restart.TRANSIENT, True, After(30.0))
    assert isinstance(pipeline.start, SupervisorSpec)
    assert pipeline.start.strategy is Strategy.REST_FOR_ONE
    assert pipeline.start.backoff == Backoff(0.2, 1.0, 3.0, 0.5, 120.0)
    assert [child.id for child in pipeline.start.children] == ["source", "worker"]


def test_tasks_become_specs_with_their_arguments_bound(file: Path) -> None:
    pipeline = child(load(file, BASE).spec, "pipeline").start
    assert isinstance(pipeline, SupervisorSpec)
    source, worker = pipeline.children
    assert isinstance(source.start, functools.partial)
    assert (source.start.func.__name__, source.start.keywords) == ("source", {"every": 1})
    assert (source.restart, source.shutdown, source.start_timeout) == (Restart.TRANSIENT, Kill(), 3.0)
    assert (worker.restart, worker.shutdown, worker.start_timeout) == (Restart.PERMANENT, Never(), None)
    assert worker.takes == {"stop", "task_status"}


def test_processes_become_specs_with_their_probes(file: Path) -> None:
    web = child(load(file, BASE).spec, "web")
    start: Any = web.start
    assert start.ready == Ready(HttpOk("http://127.0.0.1:8000/"), 9.0, 0.1)
    assert start.alive == Alive(TcpPort(8000), 5.0, 2.0, 2)
    assert start.env == {"A": "b"}
    assert (web.restart, web.shutdown) == (Restart.PERMANENT, After(5.0))


def test_a_process_can_be_ready_by_a_line_or_a_port(file: Path) -> None:
    for ready, when in [
        ({"line": "up$"}, OutputLine("up$")),
        ({"port": 80, "host": "::1"}, TcpPort(80, "::1")),
    ]:
        start: Any = child(load(file, changed(setting(*WEB, ready=ready))).spec, "web").start
        assert start.ready.when == when


def test_the_defaults_are_those_of_otp(file: Path) -> None:
    data = {
        "version": 1,
        "root": "home",
        "supervisors": {"home": {"children": ["inner"]}, "inner": {"children": []}},
    }
    spec = load(file, data).spec
    assert (spec.strategy, spec.intensity, spec.period) == (Strategy.ONE_FOR_ONE, 3, 5.0)
    assert (spec.auto_shutdown, spec.backoff) == (AutoShutdown.NEVER, None)
    assert (spec.children[0].restart, spec.children[0].shutdown) == (Restart.PERMANENT, Never())


def test_python_is_the_interpreter_that_runs_anima_and_other_commands_stay(file: Path) -> None:
    start: Any = child(load(file, BASE).spec, "web").start
    assert start.command == (sys.executable, "-m", "http.server")
    other: Any = child(
        load(file, changed(lambda d: d["processes"]["web"].update(command=["ls", "python"]))).spec, "web"
    )
    assert other.start.command == ("ls", "python")


@pytest.mark.parametrize("cwd", ["site", ".", "/", None])
def test_a_processs_folder_is_relative_to_that_of_the_tree_file(file: Path, cwd: str | None) -> None:
    data = changed(lambda d: d["processes"]["web"].pop("cwd"))
    if cwd is not None:
        data["processes"]["web"]["cwd"] = cwd
    start: Any = child(load(file, data).spec, "web").start
    assert start.cwd == file.parent / (cwd or ".")


def test_starts_are_found_beside_the_tree_file_before_all_other_modules(
    file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "jobs.py").write_text("raise RuntimeError('the wrong one')\n")
    # A folder that is on the path already, behind another one, is no less that of the tree file.
    sys.path[:0] = [str(elsewhere), str(file.parent.resolve())]
    assert load(file, BASE).root == "home"


def test_a_relative_tree_file_works_from_its_own_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(document(BASE))
    monkeypatch.chdir(file.parent)
    assert load_tree(Path(file.name)).root == "home"


def test_loading_starts_nothing(file: Path) -> None:
    (file.parent / "jobs.py").write_text(JOBS.replace("...", "raise AssertionError('started')"))
    assert load(file, BASE).root == "home"


def test_an_outline_draws_every_child_with_what_it_is_and_how_it_restarts_and_stops(file: Path) -> None:
    assert outline(load(file, BASE)).splitlines() == [
        "home  one_for_one, 4 restarts in 10 s",
        "├─ web  process  permanent  shutdown 5 s",
        "└─ pipeline  rest_for_one, 3 restarts in 5 s, backoff  transient  shutdown 30 s  significant",
        "   ├─ source  task  transient  shutdown kill",
        "   └─ worker  task  permanent  shutdown never",
    ]


def test_a_backoff_that_can_never_reach_the_limit_is_pointed_out(file: Path) -> None:
    assert notes(load(file, BASE)) == []
    slow = load(file, changed(lambda d: d["supervisors"]["pipeline"].update(backoff={"initial": "30s"})))
    (note,) = notes(slow)
    assert note.startswith("home/pipeline: ")


# What is wrong: each mistake at its key, and no other one made up from it


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


# Whatever stands in the file


def check_outcome(file: Path) -> None:
    """A tree, or a ConfigError that gives a reason; any other exception fails the test."""
    try:
        load_tree(file)
    except ConfigError as error:
        assert error.problems
        assert all(problem.what for problem in error.problems)


over_and_over = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@over_and_over
@given(content=st.one_of(st.binary(), st.text().map(str.encode)))
@example(b"")
@example(b"\xef\xbb\xbfversion = 1")
def test_garbage_is_a_configuration_error_and_nothing_else(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    check_outcome(file)


words = st.one_of(
    st.sampled_from(
        ["home", "pipeline", "source", "web", "jobs:source", "jobs:", ":x", "jobs:source.x", "1s", "kill", ""]
    ),
    st.text(max_size=8),
)
scalars = st.one_of(words, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)


def places(data: Data, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in data.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@over_and_over
@given(
    edits=st.lists(
        st.tuples(st.sampled_from(sorted(places(BASE))), st.sampled_from(["set", "add", "delete"]), words, values),
        min_size=1,
        max_size=3,
    )
)
@example(edits=[(("supervisors",), "set", "", 5)])
@example(edits=[(("supervisors",), "set", "", "home")])
@example(edits=[(("root",), "set", "", "")])
def test_a_tree_with_anything_in_any_place_is_a_tree_or_a_configuration_error(
    file: Path, edits: list[tuple[tuple[str, ...], str, str, object]]
) -> None:
    data = copy.deepcopy(BASE)
    for path, what, name, value in edits:
        table: Any = data
        for key in path[:-1]:
            table = table.get(key) if isinstance(table, dict) else None
        if not isinstance(table, dict) or path[-1] not in table:
            continue  # an edit before has taken the place away
        match what:
            case "set":
                table[path[-1]] = value
            case "delete":
                del table[path[-1]]
            case _:
                table[name] = value
    file.write_text(document(data), encoding="utf-8")
    check_outcome(file)
