"""Homes for tests: agents whose models are scripts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anima.agents import AgentSpec, Home
from anima.llm import ModelSpec
from anima.testing import Answer, ScriptedModel, When, scripted_home
from anima_tools import Workspace

SPEC = ModelSpec(provider="scripted")


def home_with(answers: Iterable[Answer | When] | ScriptedModel, *, repeat: bool = False) -> Home:
    """A home with one scripted model."""
    return scripted_home(answers if isinstance(answers, ScriptedModel) else ScriptedModel(answers, repeat=repeat))


def spec(name: str = "ada", **fields: Any) -> AgentSpec:
    """An agent with a scripted model, which may touch nothing."""
    nowhere = Workspace(Path("/nonexistent"), Path("/nonexistent/outputs"), env={})
    return AgentSpec(name=name, **{"model": SPEC, "workspace": nowhere, **fields})


def model_of(home: Home) -> ScriptedModel:
    """The scripted model of a home."""
    model = home.models.get(SPEC)
    assert isinstance(model, ScriptedModel)
    return model
