"""Which model is meant, and how it is asked: frozen data."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from pathlib import Path

import attrs

from anima_supervisors import BadSpec


class Secret:
    """A text that no log, no trace and no `repr` shows. Equal if the texts are."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the request alone."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class ToolProtocol(enum.Enum):
    """How a model is offered tools: by its provider's own way, or as the JSON schema of what it may say next, for
    servers that do not enforce the former."""

    NATIVE = "native"
    STRUCTURED = "structured"


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long, in seconds, each stage of a request may take."""

    connect: float = 10.0
    first_token: float = 120.0
    between: float = 60.0
    total: float = 600.0

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            if not value > 0:
                raise BadSpec(f"{name} must be a number of seconds above 0, not {value!r}")


@attrs.frozen(kw_only=True)
class Retry:
    """How often, and after which waits, a request that failed is made again.

    The wait is random between 0 and `initial_delay * exponential_base ** n`, at most `max_delay`; where the server says
    how long it wants to be left alone, at least that, unless it is above `retry_after_cap`. All tries together end
    `total` seconds after the first began. Seconds.
    """

    max_retries: int = 3
    initial_delay: float = 0.1
    max_delay: float = 5.0
    exponential_base: float = 2.0
    retry_after_cap: float = 60.0
    total: float = 900.0

    def __attrs_post_init__(self) -> None:
        if self.max_retries < 0:
            raise BadSpec(f"max_retries must be 0 or more, not {self.max_retries!r}")
        for name in ("initial_delay", "max_delay", "retry_after_cap", "total"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadSpec(f"{name} must be a number of seconds, 0 or more, not {getattr(self, name)!r}")
        if not self.exponential_base >= 1:
            raise BadSpec(f"exponential_base must be 1 or more, not {self.exponential_base!r}")


def _secret(text: Secret | str | None) -> Secret | None:
    return Secret(text) if isinstance(text, str) else text


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


@attrs.frozen(kw_only=True)
class ModelSpec:
    """One model and how to ask it. What is None is what the provider says.

    `fallback`: who is asked, in this order, when this one cannot answer. `concurrency`: so many requests at once go to
    its provider and host, from all agents together. `file`: the script or the cassette of the providers `scripted` and
    `replay`; with any other provider `record` names the cassette that its traffic is recorded on.
    """

    provider: str
    model: str = ""
    base_url: str | None = None
    api_key: Secret | None = attrs.field(default=None, converter=_secret)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    temperature: float | None = None
    max_tokens: int | None = None
    tool_protocol: ToolProtocol | None = None
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    fallback: tuple[ModelSpec, ...] = ()
    cool_down: float = 30.0
    concurrency: int = 8
    file: Path | None = attrs.field(default=None, converter=_path)
    record: Path | None = attrs.field(default=None, converter=_path)

    @property
    def name(self) -> str:
        """`provider:model`."""
        return f"{self.provider}:{self.model}" if self.model else self.provider
