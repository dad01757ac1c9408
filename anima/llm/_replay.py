"""Recording what a model answers, and giving it again without asking anybody."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import trio

from ._cassette import (
    BadCassette,
    Recording,
    append,
    check_cassette,
    difference,
    key_of,
    read_cassette,
    recording,
    request_as_json,
)
from ._errors import BadRequest, CassetteMiss
from ._request import Finish, Model, ModelEvent, ModelRequest, Reset


class RecordingModel:
    """Asks a model, and adds each whole answer to a cassette. What broke on the way, and errors, are not recorded."""

    def __init__(self, model: Model, cassette: Path) -> None:
        self.name = model.name
        self._model = model
        self._cassette = cassette

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Ask; see `Model.stream`. Raises `BadRequest` before it asks where the cassette cannot be written."""
        await self._in_thread(functools.partial(check_cassette, self._cassette))
        events: list[ModelEvent] = []
        async with contextlib.aclosing(self._model.stream(request)) as stream:
            async for event in stream:
                if isinstance(event, Reset):
                    events.clear()
                else:
                    events.append(event)
                if isinstance(event, Finish):
                    entry = recording(self.name, request, events)
                    await self._in_thread(functools.partial(append, self._cassette, entry))
                yield event

    async def _in_thread(self, job: Callable[[], None]) -> None:
        try:
            await trio.to_thread.run_sync(job)
        except BadCassette as error:
            raise BadRequest(self.name, f"the answer cannot be recorded: {error}") from error


class ReplayModel:
    """Gives the answers of a cassette. Of several answers to the same request each comes once, then the last again."""

    def __init__(self, cassette: Path, name: str = "replay") -> None:
        self.name = name
        self._file = cassette
        self._recordings: tuple[Recording, ...] | None = None
        self._lock = trio.Lock()
        self._given: Counter[str] = Counter()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Give the answer. Raises `CassetteMiss`, and `BadRequest` where the cassette cannot be used."""
        recordings = await self._load()
        canonical = request_as_json(request)
        key = key_of(canonical)
        answers = [entry for entry in recordings if entry.key == key]
        if not answers:
            shown = await trio.to_thread.run_sync(difference, canonical, recordings)
            what = f"the request is not on {self._file}, which has {len(recordings)}"
            raise CassetteMiss(self.name, f"{what}; the nearest differs:\n{shown}" if shown else what)
        answer = answers[min(self._given[key], len(answers) - 1)]
        self._given[key] += 1
        for event in answer.events:
            await trio.lowlevel.checkpoint()
            yield event

    async def _load(self) -> tuple[Recording, ...]:
        async with self._lock:
            if self._recordings is None:
                try:
                    self._recordings = await trio.to_thread.run_sync(read_cassette, self._file)
                except BadCassette as error:
                    raise BadRequest(self.name, f"its cassette cannot be used: {error}") from error
            return self._recordings
