"""`tree.toml`: from a file that is right to frozen specs."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import pytest

from anima.config import HttpOk, load_tree, notes, outline
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
from tests.anima.tree_files import (
    BASE,
    JOBS,
    WEB,
    changed,
    document,
    imports_left_as_they_were,
    load,
    setting,
    tree_file,
)

__all__ = ["imports_left_as_they_were", "tree_file"]


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
