"""What the parsers of both wire formats have in common: one JSON object in each event, until the end."""

from __future__ import annotations

import abc
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ._errors import ModelError, ServerFailed
from ._failures import one_line
from ._request import ModelEvent
from ._sse import ServerEvent


class EventParser(abc.ABC):
    """One answer, from the events of its stream. Pure. `_word` is what an event is called in errors."""

    _word: str

    def __init__(self, model: str, provider: str, secrets: tuple[str, ...] = ()) -> None:
        self._model = model
        self._provider = provider
        self._secrets = secrets
        self._answered_by = ""
        self._reason: str | None = None
        self._over = False

    @property
    def whole(self) -> bool:
        """It is known why the model stopped."""
        return self._reason is not None

    @property
    def over(self) -> bool:
        """The server has said that nothing follows."""
        return self._over

    def feed(self, event: ServerEvent) -> Iterator[ModelEvent]:
        """The events in one event. Raises `ModelError` for an error that the server sends, or for nonsense."""
        if self._over:
            return
        if event.data.strip() == "[DONE]":
            self._over = True
            return
        try:
            found = json.loads(event.data)
        except (ValueError, RecursionError):
            raise self._nonsense(event.data) from None
        if not isinstance(found, dict):
            raise self._nonsense(event.data)
        yield from self._read(found, event)

    @abc.abstractmethod
    def _read(self, found: Mapping[str, Any], event: ServerEvent) -> Iterator[ModelEvent]:
        """The events in the JSON of one."""

    def _nonsense(self, text: str) -> ModelError:
        begins = one_line(text, self._secrets)
        return ServerFailed(self._model, f"what came is no {self._word}. It begins: {begins}")
