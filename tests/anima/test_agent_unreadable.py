"""Agent files that cannot be read, and those that refer to what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from anima.config import ConfigError, load_agent
from tests.anima.agent_files import folder, load, problems
from tests.anima.agent_mistakes import agent, beside, llm

__all__ = ["beside", "folder"]


def test_a_persona_that_cannot_be_read_is_told_with_its_reason(beside: Path) -> None:
    for file, reason in [
        ("ada.md", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
        ("latin.md", "is not a text in UTF-8"),
        ("empty.md", "is empty"),
    ]:
        assert problems(beside, agent(f'persona = "{file}"')) == [f"agent.persona: {beside / file} {reason}"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "is not a text in UTF-8"),
        (b"[agent", "is not valid TOML"),
        (b"a = " + b"[" * 10_000, "is not valid TOML"),
        (b"version = 1\nroot = 'home'\n[supervisors.home]\n", "describes a tree, not an agent"),
    ],
)
def test_a_file_that_is_none_is_told(folder: Path, content: bytes | None, said: str) -> None:
    file = folder / "agent.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_agent(file, environ={})
    assert str(caught.value).startswith(f"{file}: {said}")


def test_a_folder_is_no_file(folder: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_agent(folder, environ={})


def test_an_error_names_the_file_and_the_one_that_it_refers_to(beside: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(beside, llm('file = "wrong.toml"\nmax_tokens = 0', "scripted"))
    first, *others = str(caught.value).splitlines()
    assert first == f"{beside / 'agent.toml'}: llm.max_tokens: must be a whole number, 1 or more, not 0"
    assert all(line.startswith(f"{beside / 'wrong.toml'}: answers[0]") for line in others)
