"""Secrets by reference: `${NAME}` is the environment variable NAME."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from anima.llm import PROVIDERS, SHORTEST, Secret

from ._findings import Findings

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
REFERENCE = re.compile(rf"\$\{{({NAME.pattern})\}}")


class Secrets:
    """Looks up references, and remembers which variables hold secrets: no tool is given those."""

    def __init__(self, environ: Mapping[str, str], findings: Findings) -> None:
        self._environ = environ
        self._findings = findings
        self._named = {provider.key for provider in PROVIDERS.values() if provider.key is not None}
        self._texts: set[str] = set()

    @property
    def names(self) -> frozenset[str]:
        """The variables that hold secrets: those that were referred to, the providers', and those of the same value."""
        same = {name for name, value in self._environ.items() if value and value in self._texts}
        return frozenset(self._named | same)

    @property
    def all(self) -> Iterator[Secret]:
        """Those that are long enough to be no word that may stand anywhere."""
        values = self._texts | {self._environ.get(name, "") for name in self._named}
        return (Secret(text) for text in values if len(text) >= SHORTEST)

    def get(self, name: str) -> str | None:
        """The value of a variable; None if it is not set, or empty."""
        self._named.add(name)
        value = self._environ.get(name)
        if not value:
            return None
        return self.keep(value)

    def keep(self, text: str) -> str:
        """Remember that this is a secret."""
        self._texts.add(text)
        return text

    def resolve(self, key: str, text: str) -> str | None:
        """The text with its references replaced; None, with what is to be said about it, if that cannot be."""
        if "${" in REFERENCE.sub("", text):
            self._findings.problem(key, 'a reference is written "${NAME}"')
            return None
        names = REFERENCE.findall(text)
        values = {name: self.get(name) for name in names}
        missing = [name for name, value in values.items() if value is None]
        for name in missing:
            self._findings.note(key, f"the environment variable {name} is not set")
        return None if missing else REFERENCE.sub(lambda found: values[found[1]] or "", text)
