"""Agent files with mistakes in them, and what stands beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.anima.agent_files import write

OWN = """
import attrs
from anima_tools import tool

@tool
def weather(city: str) -> str:
    "Say what the weather is."
    return city

@tool(name="ask_agent")
def ask(city: str) -> str:
    "Ask."
    return city

@tool(name="add")
def other_add(city: str) -> str:
    "Add."
    return city

def plain(): ...

class Shapeless:
    def __init__(self, socket: "Nowhere"): ...

@attrs.frozen
class Report:
    title: str

number = 5
"""


@pytest.fixture
def beside(folder: Path) -> Path:
    write(folder, OWN, "own.py")
    write(folder, "raise RuntimeError('half a module')\n", "broken.py")
    write(folder, "raise SystemExit(3)\n", "leaving.py")
    write(folder, " \n", "empty.md")
    write(folder, 'answers = [{ sya = "hello" }]\n', "wrong.toml")
    (folder / "latin.md").write_bytes("caf\xe9".encode("latin-1"))
    return folder


def agent(more: str) -> str:
    return f'[agent]\nname = "ada"\n{more}\n[llm]\nprovider = "local"\n'


def llm(more: str, provider: str = "local") -> str:
    return f'[agent]\nname = "ada"\n[llm]\nprovider = "{provider}"\n{more}\n'
