"""Tree files for tests: one that is right, edits of it, and what is wrong with what comes out."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anima.config import ConfigError, Tree, load_tree

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
def imports_left_as_they_were(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder of a tree file goes on the import path of the whole program; here that is the test run's."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in set(sys.modules) - before:
        if name in ("jobs", "broken", "leaving"):
            del sys.modules[name]


@pytest.fixture(name="file")
def tree_file(tmp_path: Path) -> Path:
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
