"""What agents of one program share: models, the journal, and who is thinking."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Protocol

import attrs
import trio

from anima.llm import IncidentHook, Model, ModelSpec, open_models

from ._journal import Journal, MemoryJournal


class ModelSource(Protocol):
    """Where agents get their models from."""

    def get(self, spec: ModelSpec, *, on_incident: IncidentHook | None = None) -> Model:
        """The model that `spec` means; `on_incident` hears of retries and the like. Raises `BadSpec`."""


@attrs.define
class Interruptible:
    """A turn that is being thought about. `interrupted`: it is to end now."""

    scope: trio.CancelScope
    interrupted: bool = False


class Home:
    """The place that agents live in. It outlives their crashes: an agent that is restarted goes on with its turn.

    Made by `open_home`, or by hand for tests. Belongs to one Trio loop.
    """

    def __init__(self, models: ModelSource, journal: Journal | None = None, random: Random | None = None) -> None:
        self.models = models
        self.journal: Journal = journal or MemoryJournal()
        self.random = random or Random()
        self._thinking: dict[str, Interruptible] = {}

    @property
    def thinking(self) -> tuple[str, ...]:
        """The turns that agents are thinking about now."""
        return tuple(self._thinking)

    def interrupt(self, turn: str) -> bool:
        """End a turn that is being thought about: it is answered with what there is, and `StopReason.CANCELLED`.

        False if nobody is thinking about it. Does not wait.
        """
        thinking = self._thinking.get(turn)
        if thinking is None:
            return False
        thinking.interrupted = True
        thinking.scope.cancel(reason="the turn was interrupted")
        return True

    @contextlib.contextmanager
    def thinking_about(self, turn: str) -> Iterator[Interruptible]:
        """While the block runs, `interrupt` reaches the turn: it cancels the scope, which the block enters."""
        mine = self._thinking[turn] = Interruptible(trio.CancelScope())
        try:
            yield mine
        finally:
            del self._thinking[turn]


@contextlib.asynccontextmanager
async def open_home(*, journal: Journal | None = None, random: Random | None = None) -> AsyncIterator[Home]:
    """Open a home for agents: `async with open_home() as home`, around the system that they live in.

    At its end connections are closed, and servers that were started for models are stopped in order.
    """
    random = random or Random()
    async with open_models(random=random) as models:
        yield Home(models, journal, random)
