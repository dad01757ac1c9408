"""The tables of a tree file, as frozen data: what stands in the TOML, nothing computed.

The docstrings' last lines are what the reference of the keys is made from.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from anima.actors import LeastMailbox, MailboxSpec, Overflow, RoundRobin, Route
from anima.agents import Budget
from anima.hub import Capability, Listens, Slow
from anima_supervisors import After, AutoShutdown, Backoff, Never, Restart, StopPolicy, Strategy

from ._values import Duration


@attrs.frozen(kw_only=True)
class BackoffTable:
    """A growing, random wait before each restart."""

    initial: Duration = Duration(0.2)
    maximum: Duration = Duration(30)
    factor: float = 2.0
    jitter: float = 1.0
    reset_after: Duration = Duration(60)

    def backoff(self) -> Backoff:
        """Raises `BadSpec`."""
        return Backoff(self.initial, self.maximum, self.factor, self.jitter, self.reset_after)


@attrs.frozen(kw_only=True)
class SharedBudgetTable:
    """What all agents below a supervisor may use together: tokens, US dollars (`cost`), calls of tools."""

    tokens: int | None = None
    cost: float | None = None
    calls: int | None = None

    def budget(self) -> Budget:
        """Raises `BadSpec`."""
        return Budget(tokens=self.tokens, cost=self.cost, calls=self.calls)


@attrs.frozen(kw_only=True)
class SupervisorTable:
    """`[supervisors.NAME]`: starts its children in order, restarts them by its strategy, stops them in reverse."""

    children: tuple[str, ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 3
    period: Duration = Duration(5)
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    backoff: BackoffTable | None = None
    budget: SharedBudgetTable | None = None
    restart: Restart = Restart.PERMANENT
    shutdown: StopPolicy = Never()
    significant: bool = False


@attrs.frozen(kw_only=True)
class TaskTable:
    """`[tasks.NAME]`: an async callable, `module:name`, called with `args` as keywords."""

    start: str
    args: Mapping[str, Any] = attrs.field(factory=dict)
    restart: Restart = Restart.PERMANENT
    shutdown: StopPolicy = After(5.0)
    significant: bool = False
    start_timeout: Duration | None = None
    heartbeat: Duration | None = None


@attrs.frozen(kw_only=True)
class ReadyTable:
    """When a process is up: exactly one of `http` (a URL answers 200), `port` (of `host`) or `line` (a pattern)."""

    http: str | None = None
    port: int | None = None
    line: str | None = None
    host: str = "127.0.0.1"
    timeout: Duration = Duration(30)
    every: Duration = Duration(0.1)


@attrs.frozen(kw_only=True)
class AliveTable:
    """What a process must go on answering: exactly one of `http` (a URL answers 200) or `port` (of `host`)."""

    http: str | None = None
    port: int | None = None
    host: str = "127.0.0.1"
    timeout: Duration = Duration(2)
    every: Duration = Duration(5)
    failures: int = 1


@attrs.frozen(kw_only=True)
class ProcessTable:
    """`[processes.NAME]`: an operating system process. `python` is the interpreter that runs anima."""

    command: tuple[str, ...]
    ready: ReadyTable | None = None
    alive: AliveTable | None = None
    env: Mapping[str, str] = attrs.field(factory=dict)
    cwd: Path = Path()
    restart: Restart = Restart.PERMANENT
    shutdown: StopPolicy = After(5.0)
    significant: bool = False


@attrs.frozen(kw_only=True)
class MailboxTable:
    """How many messages a mailbox holds, and what happens to one that does not fit."""

    capacity: int = 1000
    overflow: Overflow = Overflow.REJECT

    def mailbox(self) -> MailboxSpec:
        """Raises `BadSpec`."""
        return MailboxSpec(self.capacity, self.overflow)


@attrs.frozen(kw_only=True)
class CapabilityTable:
    """What an actor can do: a name alone, or a table."""

    name: str
    version: str | None = None
    attributes: Mapping[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of_text(cls, text: str) -> CapabilityTable:
        return cls(name=text)

    def capability(self) -> Capability:
        """Raises `BadSpec`."""
        return Capability(self.name, self.version, self.attributes)


@attrs.frozen(kw_only=True)
class SubscribeTable:
    """What an actor listens to: a topic or pattern alone, or a table."""

    topic: str
    slow: Slow = Slow.DROP_OLDEST
    retained: bool = False

    @classmethod
    def of_text(cls, text: str) -> SubscribeTable:
        return cls(topic=text)

    def listens(self) -> Listens:
        """Raises `BadTopic`."""
        return Listens(self.topic, slow=self.slow, retained=self.retained)


class RouteWord(enum.Enum):
    """Which of several replicas takes a message."""

    ROUND_ROBIN = "round_robin"
    LEAST_MAILBOX = "least_mailbox"

    def route(self) -> Route:
        return RoundRobin() if self is RouteWord.ROUND_ROBIN else LeastMailbox()


@attrs.frozen(kw_only=True)
class ActorTable:
    """`[actors.NAME]`: an actor, `module:Class`, made with `args` as keywords; `replicas` of it behind one address."""

    start: str
    args: Mapping[str, Any] = attrs.field(factory=dict)
    mailbox: MailboxTable | None = None
    attempts: int | None = None
    capabilities: tuple[CapabilityTable, ...] = ()
    subscribe: tuple[SubscribeTable, ...] = ()
    replicas: int = 1
    route: RouteWord = RouteWord.ROUND_ROBIN
    intensity: int = 3
    period: Duration = Duration(5)
    restart: Restart = Restart.PERMANENT
    shutdown: StopPolicy | None = None
    significant: bool = False
    start_timeout: Duration | None = None


@attrs.frozen(kw_only=True)
class AgentPlaceTable:
    """`[agents.NAME]`: an agent, from the file `config`, from sections that stand here, or both: these come first."""

    config: Path | None = None
    agent: Mapping[str, Any] = attrs.field(factory=dict)
    llm: Mapping[str, Any] = attrs.field(factory=dict)
    tools: Mapping[str, Any] = attrs.field(factory=dict)
    think: Mapping[str, Any] = attrs.field(factory=dict)
    budget: Mapping[str, Any] = attrs.field(factory=dict)
    retry: Mapping[str, Any] = attrs.field(factory=dict)
    memory: Mapping[str, Any] = attrs.field(factory=dict)
    observe: Mapping[str, Any] = attrs.field(factory=dict)
    mailbox: MailboxTable | None = None
    attempts: int | None = None
    restart: Restart = Restart.PERMANENT
    shutdown: StopPolicy = After(10.0)
    significant: bool = False
    start_timeout: Duration | None = None


#: The sections of a tree file that hold children, and what stands in each. Later floors add theirs.
SECTIONS: Mapping[str, type] = {
    "supervisors": SupervisorTable,
    "tasks": TaskTable,
    "processes": ProcessTable,
    "actors": ActorTable,
    "agents": AgentPlaceTable,
}
