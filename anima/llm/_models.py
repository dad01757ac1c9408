"""The models of a program: made from specs, sharing connections, limits and local servers."""

from __future__ import annotations

import contextlib
import difflib
import random as randomness
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import attrs

from anima_supervisors import BadSpec

from ._fallback import CoolDowns, FallbackModel
from ._incidents import IncidentHook, ignore
from ._limits import Gate, LimitedModel
from ._replay import RecordingModel, ReplayModel
from ._request import Model
from ._resilient import ResilientModel
from ._script_file import ScriptFile
from ._spec import ModelSpec, ToolProtocol


@attrs.frozen(kw_only=True)
class Provider:
    """What is known of a provider: defaults for specs. `key` is the environment variable that its key is read from."""

    base_url: str | None = None
    key: str | None = None
    tools: ToolProtocol = ToolProtocol.NATIVE
    needs_model: bool = False
    needs_file: bool = False


PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider(base_url="https://api.openai.com/v1", key="OPENAI_API_KEY", needs_model=True),
    "ollama": Provider(base_url="http://127.0.0.1:11434/v1", needs_model=True),
    "anthropic": Provider(base_url="https://api.anthropic.com", key="ANTHROPIC_API_KEY", needs_model=True),
    "local": Provider(tools=ToolProtocol.STRUCTURED),
    "scripted": Provider(needs_file=True),
    "replay": Provider(needs_file=True),
}


@contextlib.asynccontextmanager
async def open_models(*, random: Random | None = None, on_incident: IncidentHook = ignore) -> AsyncIterator[Models]:
    """Models for the block, and all that they share. Opens nothing before it is needed.

    `on_incident` is told, on the loop, of retries, fallbacks and circuits; `random` is the randomness of the waits. The
    end of the block closes the connections. Streams have to be closed by then.
    """
    yield Models(random or randomness.Random(), on_incident)


class Models:
    """Makes models. See `open_models`."""

    def __init__(self, random: Random, on_incident: IncidentHook) -> None:
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
        chain = (spec, *spec.fallback)
        if any(other.fallback for other in spec.fallback):
            raise BadSpec(f"{spec.name}: what it falls back to has a fallback of its own; write one list")
        models = [self._resilient(other, hook, patient=other is chain[-1]) for other in chain]
        model = models[0]
        if len(models) > 1:
            keys = [f"{other.name} {other.base_url or ''}" for other in chain]
            model = FallbackModel(models, spec.cool_down, cool_downs=self._cool_downs, keys=keys, on_incident=hook)
        return model if spec.record is None else RecordingModel(model, spec.record)

    def _resilient(self, spec: ModelSpec, hook: IncidentHook, *, patient: bool) -> Model:
        spec = complete(spec)
        if spec.provider == "scripted":
            model: Model = self._scripted(spec)
        elif spec.provider == "replay":
            model = self._replay(spec)
        else:
            raise BadSpec(f"{spec.name}: not yet")
        model = LimitedModel(model, self._gate(spec), wait=spec.timeouts.total, on_incident=hook)
        return ResilientModel(model, spec.retry, random=self._random, patient=patient, on_incident=hook)

    def _scripted(self, spec: ModelSpec) -> ScriptFile:
        assert spec.file is not None
        return self._scripts.setdefault(spec.file, ScriptFile(spec.file, spec.name, spec.timeouts))

    def _replay(self, spec: ModelSpec) -> ReplayModel:
        assert spec.file is not None
        return self._cassettes.setdefault(spec.file, ReplayModel(spec.file, spec.name))

    def _gate(self, spec: ModelSpec) -> Gate:
        host = urlsplit(spec.base_url).netloc if spec.base_url else str(spec.file or spec.model)
        gate = self._gates.setdefault((spec.provider, host), Gate(spec.concurrency))
        gate.narrow(spec.concurrency)
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
    return attrs.evolve(
        spec, base_url=spec.base_url or provider.base_url, tool_protocol=spec.tool_protocol or provider.tools
    )
