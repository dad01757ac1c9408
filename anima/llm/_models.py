"""The models of a program: made from specs, sharing connections, limits and local servers.

What stands between a request and its provider, from the outside in, and why in this order:

- recording: what the agent got in the end is on the cassette, whoever answered, without what broke on the way
- fallback: the next model is asked once one has done all that it can
- retries: each attempt begins anew, waits for a place of its own, and holds none while it waits
- structured tools: a small model's broken JSON is tried again, but is no failure of its server
- limits: places and circuit breaker count what goes to the server, and nothing else
"""

from __future__ import annotations

import contextlib
import difflib
import random as randomness
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import attrs
import trio

from anima_supervisors import BadSpec, DynamicSupervisorSpec, Event, Inline, open_supervisor

from ._anthropic import AnthropicModel
from ._fallback import CoolDowns, FallbackModel
from ._incidents import IncidentHook, ignore
from ._limits import Gate, LimitedModel
from ._local import SLOTS, LocalModel, LocalServers
from ._openai import BASE_URLS, OpenAIModel
from ._over_http import MakeModel, OverHttp, SharedClient
from ._post import endpoint
from ._replay import RecordingModel, ReplayModel
from ._request import Model
from ._resilient import ResilientModel
from ._script_file import ScriptFile
from ._spec import ModelSpec, ToolProtocol
from ._structured import StructuredTools

#: How long, in seconds, the connections have to be closed.
CLOSE_SECONDS = 5.0


@attrs.frozen(kw_only=True)
class Provider:
    """What is known of a provider: defaults for specs. `key` is the environment variable that its key is read from."""

    base_url: str | None = None
    key: str | None = None
    tools: ToolProtocol = ToolProtocol.NATIVE
    needs_model: bool = False
    needs_file: bool = False


PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider(base_url=BASE_URLS["openai"], key="OPENAI_API_KEY", needs_model=True),
    "ollama": Provider(base_url=BASE_URLS["ollama"], needs_model=True),
    "anthropic": Provider(base_url="https://api.anthropic.com", key="ANTHROPIC_API_KEY", needs_model=True),
    "local": Provider(tools=ToolProtocol.STRUCTURED),
    "scripted": Provider(needs_file=True),
    "replay": Provider(needs_file=True),
}

_OVER_HTTP: Mapping[str, MakeModel] = {"openai": OpenAIModel, "ollama": OpenAIModel, "anthropic": AnthropicModel}


@contextlib.asynccontextmanager
async def open_models(
    *,
    random: Random | None = None,
    on_incident: IncidentHook = ignore,
    on_event: Callable[[Event], object] | None = None,
) -> AsyncIterator[Models]:
    """Models for the block, and all that they share. Opens nothing before it is needed.

    `on_incident` is told of retries, fallbacks and circuits, `on_event` what the supervisor of the local servers tells;
    both on the loop, where they must not block. `random` is the randomness of the waits. The end of the block closes
    the connections, which fails streams that are still open, and stops the local servers.
    """
    servers: LocalServers | None = None

    def tell(event: Event) -> None:
        if servers is not None:
            servers.on_event(event)
        if on_event is not None:
            on_event(event)

    async with open_supervisor(DynamicSupervisorSpec(), name="models", on_event=Inline(tell)) as supervisor:
        servers = LocalServers(supervisor)
        client = SharedClient()
        try:
            yield Models(client, servers, random or randomness.Random(), on_incident)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_SECONDS):
                await client.aclose()
                await servers.client.aclose()


class Models:
    """Makes models. See `open_models`."""

    def __init__(self, client: SharedClient, servers: LocalServers, random: Random, on_incident: IncidentHook) -> None:
        self._client = client
        self._servers = servers
        self._random = random
        self._on_incident = on_incident
        self._gates: dict[tuple[str, str], Gate] = {}
        self._cool_downs = CoolDowns()
        self._scripts: dict[Path, ScriptFile] = {}
        self._cassettes: dict[Path, ReplayModel] = {}

    def get(self, spec: ModelSpec, *, on_incident: IncidentHook | None = None) -> Model:
        """The model that a spec means; does no I/O. `on_incident` is told instead of that of `open_models`.

        Those that are asked over the same provider and host share its limits, those with the same script its answers.
        Raises `BadSpec`.
        """
        hook = on_incident or self._on_incident
        chain = [complete(other) for other in (spec, *spec.fallback)]
        if any(other.fallback for other in spec.fallback):
            raise BadSpec(f"{spec.name}: what it falls back to has a fallback of its own; write one list")
        # Only the last one waits for a circuit to close: before it there is somebody else to ask.
        models = [self._resilient(other, hook, patient=other is chain[-1]) for other in chain]
        model = models[0]
        if len(models) > 1:
            keys = [f"{other.name} {_server(other)}" for other in chain]
            model = FallbackModel(models, spec.cool_down, cool_downs=self._cool_downs, keys=keys, on_incident=hook)
        return model if spec.record is None else RecordingModel(model, spec.record)

    def _resilient(self, spec: ModelSpec, hook: IncidentHook, *, patient: bool) -> Model:
        gate = self._gate(spec)
        model: Model = LimitedModel(self._provider(spec), gate, wait=spec.timeouts.total, on_incident=hook)
        if spec.tool_protocol is ToolProtocol.STRUCTURED and spec.provider != "replay":
            model = StructuredTools(model)  # a cassette has what came out of it
        return ResilientModel(model, spec.retry, random=self._random, patient=patient, on_incident=hook)

    def _provider(self, spec: ModelSpec) -> Model:
        match spec:
            case ModelSpec(provider="scripted", file=Path() as file):
                return self._scripts.setdefault(file, ScriptFile(file, spec.name, spec.timeouts))
            case ModelSpec(provider="replay", file=Path() as file):
                return self._cassettes.setdefault(file, ReplayModel(file, spec.name))
            case ModelSpec(provider="local"):
                return LocalModel(spec, self._servers)
            case _:
                return OverHttp(spec, self._client, _OVER_HTTP[spec.provider])

    def _gate(self, spec: ModelSpec) -> Gate:
        places = min(spec.concurrency, SLOTS) if spec.provider == "local" else spec.concurrency
        gate = self._gates.setdefault((spec.provider, _server(spec)), Gate(places))
        gate.narrow(places)
        return gate


def complete(spec: ModelSpec) -> ModelSpec:
    """The spec with what its provider says where it says nothing itself. Raises `BadSpec`."""
    provider = PROVIDERS.get(spec.provider)
    if provider is None:
        close = difflib.get_close_matches(spec.provider, PROVIDERS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"valid: {', '.join(PROVIDERS)}"
        raise BadSpec(f"provider {spec.provider!r} is not known ({hint})")
    if provider.needs_model and not spec.model:
        raise BadSpec(f"provider {spec.provider!r} needs the name of a model")
    if provider.needs_file and spec.file is None:
        raise BadSpec(f"provider {spec.provider!r} needs a file")
    if spec.concurrency < 1:
        raise BadSpec(f"{spec.name}: concurrency must be 1 or more, not {spec.concurrency!r}")
    if spec.provider in _OVER_HTTP:
        endpoint(spec, provider.base_url, "")
    return attrs.evolve(
        spec, base_url=spec.base_url or provider.base_url, tool_protocol=spec.tool_protocol or provider.tools
    )


def _server(spec: ModelSpec) -> str:
    """What tells servers of a provider apart: the host and port, the file, or, for local ones, the model."""
    return urlsplit(spec.base_url).netloc.rpartition("@")[2] if spec.base_url else str(spec.file or spec.model)
