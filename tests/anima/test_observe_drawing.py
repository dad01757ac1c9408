"""The drawing of a tree for the live view."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from anima.observe._drawing import table
from anima_supervisors import Snapshot, State


def node(path: str, *children: Snapshot, **fields: Any) -> Snapshot:
    usual = {"kind": "task", "state": State.UP, "incarnation": 1, "uptime": 1.0, "last_error": None}
    return Snapshot(path=path, children=children, **{**usual, **fields})


def drawn(snapshot: Snapshot) -> str:
    console = Console(file=io.StringIO(), width=120, height=100)
    with console.capture() as capture:
        console.print(table(snapshot))
    return capture.get()


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_drawn(state: State) -> None:
    assert state.value in drawn(node("home/a", state=state))


def test_a_drawing_has_incarnation_restarts_uptime_and_last_error() -> None:
    crashed = node("home/a", incarnation=7, uptime=None, last_error="ValueError: [red]boom[/red]")
    text = drawn(node("home", crashed, kind="supervisor", restarts=2, intensity=3, period=5.0, uptime=3725.0))
    home, a = text.splitlines()[1:]
    assert re.split(r"\s{2,}", home.strip()) == ["home", "up", "1", "2/3 in 5s", "1h02m"]
    assert re.split(r"\s{2,}", a.strip()) == ["└─ a", "up", "7", "ValueError: [red]boom[/red]"]


def test_a_drawing_of_many_children_says_how_many_are_not_in_it() -> None:
    text = drawn(node("home", *(node(f"home/{number}") for number in range(100))))
    left_out = 100 - sum(f"─ {number} " in text for number in range(100))
    assert left_out
    assert f"{left_out} more" in text
