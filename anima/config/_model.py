"""`[llm]` and `[retry]`: from the tables to the spec of a model."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from anima.llm import PROVIDERS, ModelSpec, Provider, Retry, Secret, Timeouts, load_script
from anima_supervisors import BadSpec

from ._agent_tables import LlmTable, RetryTable
from ._errors import Problem, nearest
from ._findings import Findings
from ._secrets import NAME, REFERENCE, Secrets

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@attrs.frozen
class BuiltModel:
    """The spec, and where its key is from."""

    spec: ModelSpec
    key_from: str | None


def build_model(llm: LlmTable, retry: RetryTable, secrets: Secrets, findings: Findings) -> BuiltModel:
    """The spec of the model, with what is wrong added to `findings`. Blocks: reads the script of `scripted`."""
    return _Build(llm, retry, secrets, findings).model()


class _Build:
    def __init__(self, llm: LlmTable, retry: RetryTable, secrets: Secrets, findings: Findings) -> None:
        self._llm = llm
        self._retry = retry
        self._secrets = secrets
        self._findings = findings

    def model(self) -> BuiltModel:
        llm, say = self._llm, self._findings
        provider = self._provider("llm.provider", llm.provider)
        if provider is not None and provider.needs_model and not llm.model:
            say.problem("llm.model", f"is missing: {llm.provider} needs the name of a model")
        self._check_file(provider)
        self._check_base_url()
        key, key_from = self._key(provider or Provider())
        spec = ModelSpec(
            provider=llm.provider,
            model=llm.model,
            base_url=llm.base_url,
            api_key=key,
            headers=dict(self._headers()),
            temperature=llm.temperature,
            max_tokens=llm.max_tokens,
            tool_protocol=llm.tool_protocol,
            timeouts=say.checked("llm.timeouts", llm.timeouts.timeouts) or Timeouts(),
            retry=say.checked("retry", self._retry.retry) or Retry(),
            cool_down=llm.cool_down,
            concurrency=llm.concurrency,
            file=llm.file if provider is not None and provider.needs_file else None,
            record=llm.record,
        )
        return BuiltModel(attrs.evolve(spec, fallback=tuple(self._fallbacks(spec))), key_from)

    def _provider(self, key: str, name: str) -> Provider | None:
        if name not in PROVIDERS:
            self._findings.problem(key, f"there is no provider {name!r}", nearest(name, PROVIDERS))
        return PROVIDERS.get(name)

    def _check_file(self, provider: Provider | None) -> None:
        llm, say = self._llm, self._findings
        if provider is not None and not provider.needs_file:
            if llm.file is not None:
                say.note("llm.file", f"{llm.provider} does not use it")
        elif llm.record is not None:
            say.problem("llm.record", f"there is nothing to record: {llm.provider} asks no server")
        elif provider is not None and llm.file is None:
            word = "script" if llm.provider == "scripted" else "cassette"
            say.problem("llm.file", f"is missing: {llm.provider} needs a {word}")
        if provider is None or not provider.needs_file or llm.file is None:
            return
        if llm.provider == "scripted":
            self._check_script(llm.file)
        elif not os.path.isfile(llm.file):
            say.problem("llm.file", f"there is no file {llm.file}")

    def _check_script(self, file: Path) -> None:
        if not os.path.isfile(file):
            self._findings.problem("llm.file", f"there is no file {file}")
            return
        try:
            load_script(file)
        except BadSpec as error:
            for fault in error.faults:
                self._findings.problems.append(Problem("", fault.removeprefix(f"{file}: "), file=file))
        except RecursionError:
            self._findings.problems.append(Problem("", "is nested too deeply", file=file))

    def _check_base_url(self) -> None:
        url = self._llm.base_url
        if url is None:
            return
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            self._findings.problem("llm.base_url", f"must be a URL like https://host/v1, not {url!r}")

    def _key(self, provider: Provider) -> tuple[Secret | None, str | None]:
        llm, say = self._llm, self._findings
        if llm.api_key is not None and llm.api_key_env is not None:
            say.problem("llm.api_key", "stands beside api_key_env; write one of them")
            return None, None
        if llm.api_key_env is not None:
            name = llm.api_key_env
            if not NAME.fullmatch(name):
                say.problem("llm.api_key_env", f"must be the name of an environment variable, not {name!r}")
                return None, None
            if self._secrets.get(name) is None:
                say.note("llm.api_key_env", f"the environment variable {name} is not set")
            return self._from(name)
        if llm.api_key is not None:
            return self._written(llm.api_key)
        if provider.key is None:
            return None, None
        if self._secrets.get(provider.key) is None and llm.base_url is None:
            say.note("llm.api_key", f"{llm.provider} wants a key: set the environment variable {provider.key}")
        return self._from(provider.key)

    def _from(self, name: str) -> tuple[Secret | None, str | None]:
        value = self._secrets.get(name)
        return (None, None) if value is None else (Secret(value), f"environment {name}")

    def _written(self, text: str) -> tuple[Secret | None, str | None]:
        say = self._findings
        if not text:
            say.problem("llm.api_key", "is empty; leave it out where there is no key")
            return None, None
        value = self._secrets.resolve("llm.api_key", text)
        if value is None:
            return None, None
        self._secrets.keep(value)
        if names := REFERENCE.findall(text):
            return Secret(value), f"environment {', '.join(names)}"
        place = say.values.place("llm.api_key")
        if place is not None and place.file is not None:
            say.note("llm.api_key", 'the key stands in the file; "${NAME}" takes it from the environment')
        return Secret(value), None

    def _headers(self) -> Iterator[tuple[str, str]]:
        for name, text in self._llm.headers.items():
            key = f"llm.headers.{name}"
            if not _HEADER.fullmatch(name):
                self._findings.problem(key, f"no header can be called {name!r}")
                continue
            value = self._secrets.resolve(key, text)
            if value is not None and not value.isprintable():
                self._findings.problem(key, "a header is one line")
            elif value is not None:
                yield name, value

    def _fallbacks(self, first: ModelSpec) -> Iterator[ModelSpec]:
        for number, text in enumerate(self._llm.fallback):
            key = f"llm.fallback[{number}]"
            name, _, model = text.partition(":")
            provider = self._provider(key, name)
            if provider is None:
                continue
            if provider.needs_file:
                self._findings.problem(key, f"{name} needs a file, so that nothing falls back to it")
            elif provider.needs_model and not model:
                self._findings.problem(key, f"must be {name}:MODEL, not {text!r}")
            elif name == first.provider:
                yield attrs.evolve(first, model=model, record=None)
            else:
                yield self._other(first, key, name, model, provider)

    def _other(self, first: ModelSpec, key: str, name: str, model: str, provider: Provider) -> ModelSpec:
        secret = None if provider.key is None else self._secrets.get(provider.key)
        if provider.key is not None and secret is None:
            self._findings.note(key, f"{name} wants a key: set the environment variable {provider.key}")
        return attrs.evolve(
            first,
            provider=name,
            model=model,
            base_url=None,
            api_key=None if secret is None else Secret(secret),
            headers={},
            tool_protocol=None,
            file=None,
            record=None,
        )
