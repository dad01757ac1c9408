"""Models that are asked over HTTP: made when they are first asked, with one client for all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, TypeAlias

import trio

from ._client import make_client
from ._request import Model, ModelEvent, ModelRequest
from ._spec import ModelSpec

if TYPE_CHECKING:
    import httpx

MakeModel: TypeAlias = "Callable[[ModelSpec, httpx.AsyncClient], Model]"


class SharedClient:
    """The one HTTP client, opened when somebody first asks over it: `make` may block, it is called in a thread."""

    def __init__(self, make: Callable[[], httpx.AsyncClient] = make_client) -> None:
        self._make = make
        self._client: httpx.AsyncClient | None = None
        self._lock = trio.Lock()

    async def get(self) -> httpx.AsyncClient:
        async with self._lock:
            if self._client is None:
                self._client = await trio.to_thread.run_sync(self._make)
            return self._client

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


class OverHttp:
    """A model that `make` makes from its spec and the shared client, once that is open."""

    def __init__(self, spec: ModelSpec, client: SharedClient, make: MakeModel) -> None:
        self.name = spec.name
        self._spec = spec
        self._client = client
        self._make = make
        self._model: Model | None = None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Ask; see `Model.stream`."""
        if self._model is None:
            self._model = self._make(self._spec, await self._client.get())
        async with contextlib.aclosing(self._model.stream(request)) as events:
            async for event in events:
                yield event
