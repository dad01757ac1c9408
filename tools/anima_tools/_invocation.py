"""What a running tool is given beside its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from ._environment import child_environment


def _absolute(path: str | Path) -> Path:
    return Path(path).absolute()


def _texts(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


@attrs.frozen
class Workspace:
    """What the tools of an agent may touch."""

    #: the folder that file tools stay below, and in which commands run
    root: Path = attrs.field(converter=_absolute)
    #: the folder where the full texts of shortened outputs are kept; made when it is needed
    outputs: Path = attrs.field(converter=_absolute)
    #: whether HTTP may go to private, loopback and link-local addresses
    allow_private: bool = False
    #: names, each `host` or `host:port`, that HTTP may go to whatever their addresses are
    allow_hosts: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    #: the environment of child processes
    env: Mapping[str, str] = attrs.field(factory=child_environment, repr=False)


@attrs.frozen
class Invocation:
    """One run of a tool: a parameter annotated with this class is given it, and is no part of the schema."""

    #: the idempotency key: the same in each attempt at one step
    key: str
    workspace: Workspace
    #: who calls
    agent: str = ""
