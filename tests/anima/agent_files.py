"""Agent files for tests: written beside each other in one folder, loaded with an environment that is given."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from anima.config import AgentFile, ConfigError, load_agent

#: The least that an agent is made of: it needs no key and no file.
LEAST = """
[agent]
name = "ada"

[llm]
provider = "local"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for files; what is imported from it is forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, text: str, name: str = "agent.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def load(folder: Path, text: str, *sets: str, environ: Mapping[str, str] | None = None) -> AgentFile:
    return load_agent(write(folder, text), sets=sets, environ=environ or {})


def problems(folder: Path, text: str, sets: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> list[str]:
    """All that is wrong with a file."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *sets, environ=environ)
    assert caught.value.problems
    return [str(problem) for problem in caught.value.problems]
