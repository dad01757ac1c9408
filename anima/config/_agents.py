"""`[agents.NAME]`: agents in a tree. They need a home to live in, which is there when the program runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from anima.actors import ActorSpec
from anima.agents import Agent, Home
from anima_supervisors import BadSpec, ChildSpec, SupervisorSpec

from ._agent import AgentFile, build_agent, is_tree
from ._errors import ConfigError, Problem
from ._faults import Faults
from ._layers import Layer, environment_layers, file_layer
from ._starts import put_on_path
from ._tables import AgentPlaceTable
from ._tree_sets import AGENT_SECTIONS


@attrs.frozen(eq=False)
class AgentPlace:
    """Where an agent will be in a tree: what starts it while there is no home."""

    agent: AgentFile
    in_home: Callable[[Home], ChildSpec]

    @property
    def kind(self) -> str:
        """What outlines call it."""
        return f"agent ({self.agent.spec.model.name})"

    async def __call__(self, *, task_status: object) -> None:
        """Never starts. Raises `BadSpec`."""
        raise BadSpec(f"agent {self.agent.spec.name!r} has no home: start the tree with Tree.in_home(home)")


def agents_of(spec: SupervisorSpec, path: str) -> dict[str, AgentFile]:
    """The agents at and below `path`, by their paths."""
    return dict(_agents(spec, path))


def _agents(spec: SupervisorSpec, path: str) -> Iterator[tuple[str, AgentFile]]:
    for child in spec.children:
        match child.start:
            case AgentPlace(agent=agent):
                yield f"{path}/{child.id}", agent
            case SupervisorSpec() as inner:
                yield from _agents(inner, f"{path}/{child.id}")


def settled(spec: SupervisorSpec, home: Home) -> SupervisorSpec:
    """The same tree, its agents living in `home`."""
    return attrs.evolve(spec, children=[_settled(child, home) for child in spec.children])


def _settled(child: ChildSpec, home: Home) -> ChildSpec:
    match child.start:
        case AgentPlace() as place:
            return place.in_home(home)
        case SupervisorSpec() as inner:
            return attrs.evolve(child, start=settled(inner, home))
        case _:
            return child


class TreeAgents:
    """Builds the agents of a tree file."""

    def __init__(
        self,
        file: Path,
        lines: Mapping[str, int],
        home: Path,
        environ: Mapping[str, str],
        sets: Mapping[str, list[Layer]],
        faults: Faults,
    ) -> None:
        self._file = file
        self._lines = lines
        self._home = home
        self._environ = environ
        self._sets = sets
        self._faults = faults
        self._from_environment: list[Layer] | None = None

    def child(self, name: str, key: str, table: AgentPlaceTable) -> ChildSpec | None:
        """The place of an agent; None, with what is wrong with it, where there can be none."""
        found: list[Problem] = []
        agent = self._agent(name, key, table, found)
        self._faults.problems.extend(found)
        put_on_path(self._file.parent)  # that of its own file was before it
        box = table.mailbox
        mailbox = None if box is None else self._faults.checked(f"{key}.mailbox", box.mailbox)

        def actor(make: Any) -> ChildSpec:
            return ActorSpec(
                name,
                make,
                table.restart,
                shutdown=table.shutdown,
                significant=table.significant,
                start_timeout=table.start_timeout,
                mailbox=mailbox,
                attempts=table.attempts,
                declares=() if agent is None else agent.subscribe,
            ).child()

        checked = self._faults.checked(key, lambda: actor(Agent))
        if checked is None or agent is None:
            return checked
        spec = agent.spec
        return attrs.evolve(checked, start=AgentPlace(agent, lambda home: actor(functools.partial(Agent, spec, home))))

    def _agent(self, name: str, key: str, table: AgentPlaceTable, problems: list[Problem]) -> AgentFile | None:
        layers = [Layer("default", self._file.parent, {"agent": {"name": name}}, self._file, prefix=f"{key}.")]
        file = self._file
        if table.config is not None:
            file = self._file.parent / table.config
            try:
                layers.append(file_layer(file))
            except ConfigError as error:
                problems.extend(attrs.evolve(problem, file=file) for problem in error.problems)
                return None
            if is_tree(layers[-1].data):
                problems.append(Problem(f"{key}.config", f"{file} describes a tree, not an agent"))
                return None
        inline = {section: value for section in AGENT_SECTIONS if (value := getattr(table, section))}
        layers.append(Layer(str(self._file), self._file.parent, inline, self._file, f"{key}.", self._lines))
        layers += [*self._environment_layers(), *self._sets.get(name, [])]
        return build_agent(file, layers, self._environ, problems, self._home)

    def _environment_layers(self) -> list[Layer]:
        """What the environment says of all agents; who they are, it cannot."""
        if self._from_environment is None:
            found = self._faults.problems
            self._from_environment = environment_layers(self._environ, found, without=("agent", "home"))
        return self._from_environment
