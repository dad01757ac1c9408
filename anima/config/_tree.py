"""`tree.toml`: from the file to the spec of the root supervisor, or to all that is wrong with it."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from anima.actors import Actor, ActorSpec, PoolSpec, Stop
from anima.hub import BadTopic
from anima_supervisors import (
    Alive,
    BadSpec,
    ChildSpec,
    OutputLine,
    Probe,
    Ready,
    SupervisorSpec,
    TcpPort,
    process_child,
)

from ._errors import ConfigError, Problem, nearest
from ._http import HttpOk
from ._starts import find_actor, find_start, put_on_path
from ._tables import (
    SECTIONS,
    ActorTable,
    AliveTable,
    BackoffTable,
    MailboxTable,
    ProcessTable,
    ReadyTable,
    SupervisorTable,
    TaskTable,
)
from ._toml import read_toml
from ._values import structure

T = TypeVar("T")

VERSION = 1


@attrs.frozen
class Tree:
    """A tree that can be started: the name and the spec of its root."""

    file: Path
    root: str
    spec: SupervisorSpec


def load_tree(file: Path) -> Tree:
    """Read, check and build a tree file. Imports the modules of its tasks; starts nothing.

    Blocks: reads the file and runs imports. Raises `ConfigError` with everything that is wrong.
    """
    data, _ = read_toml(file)
    put_on_path(file.parent)
    build = _Build(file, data)
    spec = build.tree()
    if build.problems or spec is None:
        raise ConfigError(file, build.problems)
    return Tree(file, build.root, spec)


class _Build:
    """One walk over a tree file, collecting all its problems."""

    def __init__(self, file: Path, data: Mapping[str, Any]) -> None:
        self.folder = file.parent
        self.data = data
        self.problems: list[Problem] = []
        self.root = ""
        #: all names, with the key of their table; and the tables that could be read
        self.keys: dict[str, str] = {}
        self.tables: dict[str, Any] = {}

    def problem(self, key: str, what: str, hint: str | None = None) -> None:
        self.problems.append(Problem(key, what, hint))

    def tree(self) -> SupervisorSpec | None:
        self._read_top()
        for section, kind in SECTIONS.items():
            self._read_section(section, kind)
        self._check_names()
        specs: dict[str, ChildSpec | None] = {}
        for name, table in self.tables.items():
            if not isinstance(table, SupervisorTable):
                specs[name] = self._child(name, table)
        return self._supervisor(self.root, specs) if self.root else None

    # Reading

    def _read_top(self) -> None:
        for key in self.data.keys() - {"version", "root", *SECTIONS}:
            self.problem(key, "unknown key", nearest(key, ["version", "root", *SECTIONS]))
        version = self.data.get("version")
        if version != VERSION or type(version) is not int:
            what = "is missing" if version is None else f"must be {VERSION}, not {version!r}"
            self.problem("version", what, f"write version = {VERSION}")
        root = self.data.get("root")
        if root is None:
            self.problem("root", "is missing", 'name the supervisor at the top: root = "NAME"')
        elif not isinstance(root, str) or not root:
            self.problem("root", f"must be the name of a supervisor, not {root!r}")
        else:
            self.root = root

    def _read_section(self, section: str, kind: type) -> None:
        tables = self.data.get(section, {})
        if not isinstance(tables, dict):
            self.problem(section, f"must be tables, [{section}.NAME], not {tables!r}")
            return
        for name, table in tables.items():
            key = f"{section}.{name}"
            if name in self.keys:
                self.problem(key, f"the name is used twice: it is {self.keys[name]} too")
                continue
            self.keys[name] = key
            if not name or "/" in name or not name.isprintable():
                self.problem(ascii(key)[1:-1], "a name can be printed, is not empty and has no '/'")
                continue
            read = self._read_table(table, kind, key)
            if read is not None:
                self.tables[name] = read

    def _read_table(self, table: Any, kind: type, key: str) -> Any:
        """The table; where it has wrong values as if they were not there, so that the rest of it is checked as well."""
        found: list[Problem] = []
        read = structure(table, kind, key, found)
        self.problems += found
        if read is None and isinstance(table, dict):
            wrong = {problem.key.removeprefix(f"{key}.").partition(".")[0].partition("[")[0] for problem in found}
            read = structure({name: value for name, value in table.items() if name not in wrong}, kind, key, [])
        return read

    def _check_names(self) -> None:
        supervisors = [name for name, key in self.keys.items() if key == f"supervisors.{name}"]
        if self.root and self.root not in supervisors:
            self.problem("root", f"there is no [supervisors.{self.root}]", nearest(self.root, supervisors))
            self.root = ""
        parents: dict[str, str] = {}
        for name, table in self.tables.items():
            if isinstance(table, SupervisorTable):
                self._check_children(f"{self.keys[name]}.children", table.children, parents)
        above = {"restart", "shutdown", "significant"} & self._given(self.root)
        for key in sorted(above):
            self.problem(f"supervisors.{self.root}.{key}", "is for a parent to look at, and the root has none")
        if self.root in parents:
            self.problem("root", f"{self.root!r} is the root and a child, in {parents[self.root]}")
        unread = self.keys.keys() - self.tables.keys()
        broken = any(self.keys[name].startswith("supervisors.") for name in unread)  # it may name anything
        for name, key in self.keys.items():
            if name not in parents and name != self.root and self.root and not broken:
                self.problem(key, "is never used: no supervisor has it among its children")
        self._check_cycles()

    def _given(self, supervisor: str) -> set[str]:
        """The keys that stand in a supervisor's table."""
        tables = self.data.get("supervisors", {})
        table = tables.get(supervisor) if isinstance(tables, dict) else None
        return set(table) if isinstance(table, dict) else set()

    def _check_children(self, key: str, children: tuple[str, ...], parents: dict[str, str]) -> None:
        for name, count in Counter(children).items():
            if count > 1:
                self.problem(key, f"{name!r} is named twice")
            if name not in self.keys:
                self.problem(key, f"there is no {name!r}", nearest(name, self.keys))
            elif name in parents:
                self.problem(key, f"{name!r} is a child already, in {parents[name]}")
            else:
                parents[name] = key

    def _check_cycles(self) -> None:
        done: set[str] = set()

        def visit(name: str, way: list[str]) -> None:
            table = self.tables.get(name)
            if name in way:
                circle = " -> ".join([*way[way.index(name) :], name])
                self.problem(f"{self.keys[name]}.children", f"a circle: {circle}")
                self.root = ""  # there is no end to building it
            elif name not in done and isinstance(table, SupervisorTable):
                for child in table.children:
                    visit(child, [*way, name])
                done.add(name)

        for name in self.tables:
            visit(name, [])

    # Building

    def _supervisor(self, name: str, specs: Mapping[str, ChildSpec | None]) -> SupervisorSpec | None:
        table = self.tables.get(name)
        if not isinstance(table, SupervisorTable):
            return None
        children = []
        for child in dict.fromkeys(table.children):  # one that is named twice was told already
            inner = self.tables.get(child)
            spec = self._inner(child, inner, specs) if isinstance(inner, SupervisorTable) else specs.get(child)
            if spec is not None:
                children.append(spec)
        waits = table.backoff
        backoff = None if waits is None else self._checked(f"{self.keys[name]}.backoff", waits.backoff)
        return self._checked(
            self.keys[name],
            lambda: SupervisorSpec(
                strategy=table.strategy,
                intensity=table.intensity,
                period=table.period,
                auto_shutdown=table.auto_shutdown,
                backoff=backoff,
                children=children,
            ),
        )

    def _inner(self, name: str, table: SupervisorTable, specs: Mapping[str, ChildSpec | None]) -> ChildSpec | None:
        spec = self._supervisor(name, specs)
        if spec is None:
            return None
        return self._checked(
            self.keys[name],
            lambda: ChildSpec(name, spec, table.restart, shutdown=table.shutdown, significant=table.significant),
        )

    def _child(self, name: str, table: Any) -> ChildSpec | None:
        key = self.keys[name]
        match table:
            case TaskTable():
                unread = any(problem.key.startswith(f"{key}.args") for problem in self.problems)
                args = None if unread else table.args
                start = find_start(table.start, args, key, self.problems) or _stand_in
                return self._checked(
                    key,
                    lambda: ChildSpec(
                        name,
                        start,
                        table.restart,
                        shutdown=table.shutdown,
                        significant=table.significant,
                        start_timeout=table.start_timeout,
                        heartbeat=table.heartbeat,
                    ),
                )
            case ProcessTable():
                return self._checked(key, lambda: self._process(name, key, table))
            case ActorTable():
                return self._actor(name, key, table)
            case _:
                raise AssertionError(f"no child is made from {table!r}")

    def _actor(self, name: str, key: str, table: ActorTable) -> ChildSpec | None:
        unread = any(problem.key.startswith(f"{key}.args") for problem in self.problems)
        make = find_actor(table.start, None if unread else table.args, key, self.problems)
        capabilities = [
            self._checked(f"{key}.capabilities[{number}]", one.capability)
            for number, one in enumerate(table.capabilities)
        ]
        topics = [
            self._checked(f"{key}.subscribe[{number}]", one.listens) for number, one in enumerate(table.subscribe)
        ]
        box = table.mailbox
        mailbox = None if box is None else self._checked(f"{key}.mailbox", box.mailbox)

        def build() -> ChildSpec:
            actor = ActorSpec(
                name,
                make or _StandIn,
                table.restart,
                shutdown=table.shutdown,
                significant=table.significant,
                start_timeout=table.start_timeout,
                mailbox=mailbox,
                attempts=table.attempts,
                declares=[one for one in (*capabilities, *topics) if one is not None],
            )
            if table.replicas == 1:
                return actor.child()
            route = table.route.route()
            return PoolSpec(actor, table.replicas, route, intensity=table.intensity, period=table.period).child()

        return self._checked(key, build)

    def _process(self, name: str, key: str, table: ProcessTable) -> ChildSpec:
        command = list(table.command)
        if command[:1] == ["python"]:
            command[0] = sys.executable
        return process_child(
            name,
            command,
            ready=None if table.ready is None else self._ready(f"{key}.ready", table.ready),
            alive=None if table.alive is None else self._alive(f"{key}.alive", table.alive),
            env=table.env,
            cwd=self.folder / table.cwd,
            restart=table.restart,
            shutdown=table.shutdown,
            significant=table.significant,
        )

    def _ready(self, key: str, table: ReadyTable) -> Ready | None:
        when = self._one(
            key,
            {
                "http": self._http(f"{key}.http", table.http),
                "port": self._port(f"{key}.port", table.port, table.host),
                "line": self._line(f"{key}.line", table.line),
            },
            table,
        )
        return None if when is None else self._checked(key, lambda: Ready(when, table.timeout, table.every))

    def _alive(self, key: str, table: AliveTable) -> Alive | None:
        http = self._http(f"{key}.http", table.http)
        probe = self._one(key, {"http": http, "port": self._port(f"{key}.port", table.port, table.host)}, table)
        if probe is None:
            return None
        return self._checked(key, lambda: Alive(probe, table.every, table.timeout, table.failures))

    def _http(self, key: str, url: str | None) -> Probe | None:
        if url is not None and not url.startswith(("http://", "https://")):
            self.problem(key, f"must be a URL that starts with http:// or https://, not {url!r}")
        return None if url is None else HttpOk(url)

    def _port(self, key: str, port: int | None, host: str) -> Probe | None:
        if port is not None and not 0 < port < 65536:
            self.problem(key, f"must be between 1 and 65535, not {port!r}")
        return None if port is None else TcpPort(port, host)

    def _line(self, key: str, pattern: str | None) -> OutputLine | None:
        return None if pattern is None else self._checked(key, lambda: OutputLine(pattern))

    def _one(self, key: str, choices: Mapping[str, Any], table: object) -> Any:
        """The one probe that the table asks for, if it could be made."""
        asked = [name for name in choices if getattr(table, name) is not None]
        if len(asked) != 1:
            self.problem(key, f"needs exactly one of {', '.join(choices)}")
            return None
        return choices[asked[0]]

    def _checked(self, key: str, build: Callable[[], T]) -> T | None:
        """What `build` makes; or None, with its `BadSpec` as a problem."""
        try:
            return build()
        except BadTopic as error:
            self.problem(key, str(error))
            return None
        except BadSpec as error:
            own = f"child {key.partition('.')[2]!r}: "  # a spec names its child, which the key does already
            for fault in error.faults:
                fault = _ACTORS.sub("", fault.removeprefix(own))
                section, _, name = key.partition(".")
                words = fault.removeprefix("backoff ").split(" ", 1)  # most faults begin with the field's name
                inner = name.rpartition(".")[2] if "." in name else ""
                table = {"": SECTIONS[section], "mailbox": MailboxTable}.get(inner, BackoffTable)
                known = words[0] in attrs.fields_dict(table)
                self.problem(f"{key}.{words[0]}" if known else key, words[-1] if known else fault)
            return None


#: How specs of actors begin to say what is wrong: with whom it is about, which the key says already.
_ACTORS = re.compile(r"^(actor|pool) '.*?': |^a mailbox's ")


class _StandIn(Actor[Stop]):
    """The same for an actor."""


async def _stand_in(*, stop: object, task_status: object, beat: object) -> None:
    """In the place of a start that could not be found, so that the rest of its table is checked as well."""
