"""`tree.toml`: from the file to the spec of the root supervisor, or to all that is wrong with it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from anima.actors import Actor, ActorSpec, PoolSpec, Stop
from anima.agents import Budget, Home, Retention
from anima_supervisors import ChildSpec, SupervisorSpec

from ._agent import AgentFile
from ._agent_tables import JournalTable
from ._agents import TreeAgents, agents_of, settled
from ._errors import ConfigError, Problem, nearest
from ._faults import Faults
from ._processes import Processes
from ._starts import find_actor, find_start, put_on_path
from ._tables import SECTIONS, ActorTable, AgentPlaceTable, ProcessTable, SupervisorTable, TaskTable
from ._toml import lines_of_keys, read_toml
from ._tree_sets import TreeSets
from ._values import structure

VERSION = 1


@attrs.frozen
class Tree:
    """A tree that can be started: the name and the spec of its root.

    One with `agents` needs a home for them: it is `in_home(home)` that is started then. `spec` is for looking at it.
    """

    file: Path
    root: str
    spec: SupervisorSpec
    #: by their paths, like `home/newsroom/ada`
    agents: Mapping[str, AgentFile] = attrs.field(factory=dict)
    #: what agents may use together, by the path of the supervisor above them
    budgets: Mapping[str, Budget] = attrs.field(factory=dict)
    #: the folder in which they keep what is theirs
    home: Path = Path(".anima")
    #: how much is kept of what they have done
    retention: Retention = Retention()

    def in_home(self, home: Home) -> SupervisorSpec:
        """The spec of the root, its agents living in `home`."""
        return settled(self.spec, home) if self.agents else self.spec


def load_tree(file: Path, *, sets: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Tree:
    """Read, check and build a tree file. Imports the modules of its tasks; starts nothing.

    `sets` (each `KEY=VALUE`) come before the file; for agents also before `environ` (by default our own), which comes
    before their files. Blocks: reads files and runs imports. Raises `ConfigError` with everything that is wrong.
    """
    data, text = read_toml(file)
    put_on_path(file.parent)
    environ = os.environ if environ is None else environ
    settings = TreeSets(sets, data)
    build = _Build(file, settings.data, lines_of_keys(text), settings, environ)
    spec = build.tree()
    agents = {} if spec is None else agents_of(spec, build.root)
    build.check_memories(agents)
    problems = [settings.told(problem) for problem in [*settings.problems, *build.faults.problems]]
    if problems or spec is None:
        raise ConfigError(file, [attrs.evolve(one, file=None) if one.file == file else one for one in problems])
    return Tree(file, build.root, spec, agents, build.budgets(spec), build.home, build.retention)


class _Build:
    """One walk over a tree file, collecting all its problems."""

    def __init__(
        self,
        file: Path,
        data: Mapping[str, Any],
        lines: Mapping[str, int],
        settings: TreeSets,
        environ: Mapping[str, str],
    ) -> None:
        self.data = data
        self.faults = Faults()
        self.home = self._home(file.parent, settings.has("home"), environ)
        self.processes = Processes(file.parent, self.faults)
        self.agents = TreeAgents(file, lines, self.home, environ, settings.layers, self.faults)
        journal = structure(data.get("journal", {}), JournalTable, "journal", self.faults.problems) or JournalTable()
        self.retention = journal.retention()
        self.root = ""
        #: all names, with the key of their table; and the tables that could be read
        self.keys: dict[str, str] = {}
        self.tables: dict[str, Any] = {}

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

    def check_memories(self, agents: Mapping[str, AgentFile]) -> None:
        """No two agents take each other's memories for their own."""
        owners: dict[tuple[str, Path], str] = {}
        for path, agent in agents.items():
            memory, name = agent.spec.memory, path.rpartition("/")[2]
            if memory is not None and memory.path is not None:
                other = owners.setdefault((agent.spec.name, memory.path), name)
                if other != name:
                    what = f"has the agent.name and the memory of agents.{other}: their memories would be the same"
                    self.faults.problem(self.keys[name], what, "give it another agent.name, or memory.path")

    def budgets(self, spec: SupervisorSpec) -> dict[str, Budget]:
        """Those of the supervisors that have one, by their paths."""
        return dict(self._budgets(self.root, self.root, spec))

    def _budgets(self, name: str, path: str, spec: SupervisorSpec) -> Iterator[tuple[str, Budget]]:
        table = self.tables[name].budget
        if table is not None:
            yield path, table.budget()
        for child in spec.children:
            # a pool of actors has a supervisor too, and no table of one
            if isinstance(child.start, SupervisorSpec) and isinstance(self.tables.get(child.id), SupervisorTable):
                yield from self._budgets(child.id, f"{path}/{child.id}", child.start)

    # Reading

    def _home(self, folder: Path, is_set: bool, environ: Mapping[str, str]) -> Path:
        """The folder of the agents: from `--set` or the environment (relative to where we are), or from the file."""
        value = self.data.get("home", ".anima")
        path = structure(value, Path, "home", self.faults.problems) or Path(".anima")
        if "ANIMA_HOME" in environ and not is_set:
            return Path.cwd() / environ["ANIMA_HOME"]
        return folder / path

    def _read_top(self) -> None:
        valid = ["version", "root", "home", "journal", *SECTIONS]
        for key in sorted(self.data.keys() - {*valid}):
            self.faults.problem(key, "unknown key", nearest(key, valid))
        version = self.data.get("version")
        if version != VERSION or type(version) is not int:
            what = "is missing" if version is None else f"must be {VERSION}, not {version!r}"
            self.faults.problem("version", what, f"write version = {VERSION}")
        root = self.data.get("root")
        if root is None:
            self.faults.problem("root", "is missing", 'name the supervisor at the top: root = "NAME"')
        elif not isinstance(root, str) or not root:
            self.faults.problem("root", f"must be the name of a supervisor, not {root!r}")
        else:
            self.root = root

    def _read_section(self, section: str, kind: type) -> None:
        tables = self.data.get(section, {})
        if not isinstance(tables, dict):
            self.faults.problem(section, f"must be tables, [{section}.NAME], not {tables!r}")
            return
        for name, table in tables.items():
            key = f"{section}.{name}"
            if name in self.keys:
                self.faults.problem(key, f"the name is used twice: it is {self.keys[name]} too")
                continue
            self.keys[name] = key
            if not name or "/" in name or not name.isprintable():
                self.faults.problem(ascii(key)[1:-1], "a name can be printed, is not empty and has no '/'")
                continue
            read = self._read_table(table, kind, key)
            if read is not None:
                self.tables[name] = read

    def _read_table(self, table: Any, kind: type, key: str) -> Any:
        """The table; where it has wrong values as if they were not there, so that the rest of it is checked as well."""
        found: list[Problem] = []
        read = structure(table, kind, key, found)
        self.faults.problems.extend(found)
        if read is None and isinstance(table, dict):
            wrong = {problem.key.removeprefix(f"{key}.").partition(".")[0].partition("[")[0] for problem in found}
            read = structure({name: value for name, value in table.items() if name not in wrong}, kind, key, [])
        return read

    def _check_names(self) -> None:
        supervisors = [name for name, key in self.keys.items() if key == f"supervisors.{name}"]
        if self.root and self.root not in supervisors:
            self.faults.problem("root", f"there is no [supervisors.{self.root}]", nearest(self.root, supervisors))
            self.root = ""
        parents: dict[str, str] = {}
        for name, table in self.tables.items():
            if isinstance(table, SupervisorTable):
                self._check_children(f"{self.keys[name]}.children", table.children, parents)
        above = {"restart", "shutdown", "significant"} & self._given(self.root)
        for key in sorted(above):
            self.faults.problem(f"supervisors.{self.root}.{key}", "is for a parent to look at, and the root has none")
        if self.root in parents:
            self.faults.problem("root", f"{self.root!r} is the root and a child, in {parents[self.root]}")
        unread = self.keys.keys() - self.tables.keys()
        broken = any(self.keys[name].startswith("supervisors.") for name in unread)  # it may name anything
        for name, key in self.keys.items():
            if name not in parents and name != self.root and self.root and not broken:
                self.faults.problem(key, "is never used: no supervisor has it among its children")
        self._check_cycles()

    def _given(self, supervisor: str) -> set[str]:
        """The keys that stand in a supervisor's table."""
        tables = self.data.get("supervisors", {})
        table = tables.get(supervisor) if isinstance(tables, dict) else None
        return set(table) if isinstance(table, dict) else set()

    def _check_children(self, key: str, children: tuple[str, ...], parents: dict[str, str]) -> None:
        for name, count in Counter(children).items():
            if count > 1:
                self.faults.problem(key, f"{name!r} is named twice")
            if name not in self.keys:
                self.faults.problem(key, f"there is no {name!r}", nearest(name, self.keys))
            elif name in parents:
                self.faults.problem(key, f"{name!r} is a child already, in {parents[name]}")
            else:
                parents[name] = key

    def _check_cycles(self) -> None:
        done: set[str] = set()

        def visit(name: str, way: list[str]) -> None:
            table = self.tables.get(name)
            if name in way:
                circle = " -> ".join([*way[way.index(name) :], name])
                self.faults.problem(f"{self.keys[name]}.children", f"a circle: {circle}")
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
        if table.budget is not None:
            self.faults.checked(f"{self.keys[name]}.budget", table.budget.budget)
        waits = table.backoff
        backoff = None if waits is None else self.faults.checked(f"{self.keys[name]}.backoff", waits.backoff)
        return self.faults.checked(
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
        return self.faults.checked(
            self.keys[name],
            lambda: ChildSpec(name, spec, table.restart, shutdown=table.shutdown, significant=table.significant),
        )

    def _child(self, name: str, table: Any) -> ChildSpec | None:
        key = self.keys[name]
        match table:
            case TaskTable():
                unread = any(problem.key.startswith(f"{key}.args") for problem in self.faults.problems)
                args = None if unread else table.args
                start = find_start(table.start, args, key, self.faults.problems) or _stand_in
                return self.faults.checked(
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
                return self.faults.checked(key, lambda: self.processes.child(name, key, table))
            case ActorTable():
                return self._actor(name, key, table)
            case AgentPlaceTable():
                return self.agents.child(name, key, table)
            case _:
                raise AssertionError(f"no child is made from {table!r}")

    def _actor(self, name: str, key: str, table: ActorTable) -> ChildSpec | None:
        unread = any(problem.key.startswith(f"{key}.args") for problem in self.faults.problems)
        make = find_actor(table.start, None if unread else table.args, key, self.faults.problems)
        capabilities = [
            self.faults.checked(f"{key}.capabilities[{number}]", one.capability)
            for number, one in enumerate(table.capabilities)
        ]
        topics = [
            self.faults.checked(f"{key}.subscribe[{number}]", one.listens) for number, one in enumerate(table.subscribe)
        ]
        box = table.mailbox
        mailbox = None if box is None else self.faults.checked(f"{key}.mailbox", box.mailbox)

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

        return self.faults.checked(key, build)


class _StandIn(Actor[Stop]):
    """The same for an actor."""


async def _stand_in(*, stop: object, task_status: object, beat: object) -> None:
    """In the place of a start that could not be found, so that the rest of its table is checked as well."""
