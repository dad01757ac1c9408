"""What happens between a request and its answer, as frozen data, for those who watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from ._errors import ModelError


@attrs.frozen
class Retrying:
    """A model is asked again, for the `attempt`th time (2 is the first retry), after `delay` seconds."""

    model: str
    error: ModelError
    delay: float
    attempt: int


@attrs.frozen
class FallingBack:
    """A model could not answer: `to` is asked instead."""

    model: str
    error: ModelError
    to: str


@attrs.frozen
class CircuitOpened:
    """The server behind `model` failed `failures` times in a row: it is not asked for `seconds`."""

    model: str
    failures: int
    seconds: float


@attrs.frozen
class CircuitClosed:
    """The server behind `model` answers again."""

    model: str


Incident: TypeAlias = Retrying | FallingBack | CircuitOpened | CircuitClosed

#: Called on Trio's loop, at the moment: it must not block.
IncidentHook: TypeAlias = Callable[[Incident], object]


def ignore(_incident: Incident) -> None:
    """The hook of those who do not watch."""
