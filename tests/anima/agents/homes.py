"""Homes for tests: agents whose models are scripts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from anima.agents import AgentSpec, Home, MemoryJournal
from anima.llm import Model, ModelSpec, Usage
from anima.testing import Answer, ScriptedModel, When
from anima_tools import Workspace

SPEC = ModelSpec(provider="scripted")


@attrs.define
class Models:
    """Each provider's name is that of one of these models; costs a cent a call."""

    by_name: dict[str, Model]

    def get(self, spec: ModelSpec, *, on_incident: Any = None) -> Model:
        return self.by_name[spec.model or spec.provider]

    def cost(self, spec: ModelSpec, usage: Usage) -> float | None:
        return 0.01


def home_with(answers: Iterable[Answer | When] | Model, *, repeat: bool = False, **others: Model) -> Home:
    """A home with one scripted model; others by the name in `ModelSpec.model`."""
    model = answers if isinstance(answers, ScriptedModel) else ScriptedModel(answers, repeat=repeat)  # type: ignore[arg-type]
    return Home(Models({"scripted": model, **others}), MemoryJournal())


def spec(name: str = "ada", **fields: Any) -> AgentSpec:
    """An agent with a scripted model, which may touch nothing."""
    nowhere = Workspace(Path("/nonexistent"), Path("/nonexistent/outputs"), env={})
    return AgentSpec(name=name, **{"model": SPEC, "workspace": nowhere, **fields})


def model_of(home: Home) -> ScriptedModel:
    """The scripted model of a home."""
    model = home.models.get(SPEC)
    assert isinstance(model, ScriptedModel)
    return model
