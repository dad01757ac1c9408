"""Agent files: from the file to the spec of an agent, or to all that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs

from anima.agents import MEMORY_TOOLS, AgentSpec, Limits, MemorySpec, Output, Retention, TimerSpec
from anima.hub import Capability, Listens
from anima.llm import Price, price_of

from ._agent_tables import AgentFileTable, AgentTable, MemoryBackend, MemoryTable
from ._errors import ConfigError, Problem
from ._findings import Findings
from ._layers import Layer, environment_layers, file_layer, layered, set_layer
from ._model import BuiltModel, build_model
from ._secrets import Secrets
from ._show import Setting, settings
from ._starts import find_class, put_on_path
from ._toolset import Toolset, build_toolset, build_workspace
from ._values import structure

#: What stands in the place of keys that are missing, so that the rest is checked as well.
_STAND_INS = {"agent.name": "agent", "llm.provider": "local"}


@attrs.frozen(kw_only=True)
class AgentFile:
    """An agent that can be started, and what its file says beside."""

    file: Path
    spec: AgentSpec
    #: the folder in which it keeps what is its own
    home: Path
    retention: Retention = Retention()
    subscribe: tuple[Listens, ...] = ()
    verbose: bool = False
    #: every setting with where it is from
    values: tuple[Setting, ...] = attrs.field(default=(), repr=False)
    #: what is allowed but probably not meant
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self.file.parent


def load_agent(file: Path, *, sets: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> AgentFile:
    """Read, check and build an agent file. Imports the modules of its tools; starts nothing, asks nobody.

    `sets` (each `KEY=VALUE`) come before `environ` (by default our own; ANIMA_LLM_MODEL is `llm.model`), that before
    the file. Blocks: reads files and runs imports. Raises `ConfigError` with everything that is wrong.
    """
    environ = os.environ if environ is None else environ
    layer = file_layer(file)
    if is_tree(layer.data):
        raise ConfigError(file, [Problem("", "describes a tree, not an agent", "anima supervise runs it")])
    problems: list[Problem] = []
    layers = [layer, *environment_layers(environ, problems)]
    layers += [found for text in sets if (found := set_layer(text, problems)) is not None]
    agent = build_agent(file, layers, environ, problems)
    if problems or agent is None:
        raise ConfigError(file, [attrs.evolve(one, file=None) if one.file == file else one for one in problems])
    return agent


def is_tree(data: Mapping[str, Any]) -> bool:
    """Whether these are the data of a tree file: it has a root, or supervisors."""
    return bool(data.keys() & {"root", "supervisors"})


def build_agent(
    file: Path, layers: Sequence[Layer], environ: Mapping[str, str], problems: list[Problem], home: Path | None = None
) -> AgentFile | None:
    """The agent that the layers describe; None where they are too wrong for one. What is wrong goes to `problems`.

    `home`, if it is given, is taken instead of what they say.
    """
    return _Build(file, layers, environ, problems, home).agent()


class _Build:
    """One walk over the values of an agent, collecting all problems."""

    def __init__(
        self,
        file: Path,
        layers: Sequence[Layer],
        environ: Mapping[str, str],
        problems: list[Problem],
        home: Path | None,
    ) -> None:
        self._file = file
        self._folder = file.parent
        self._folders = dict.fromkeys(layer.folder for layer in layers if layer.file is not None)
        self._environ = environ
        self._home = home
        first = next(layer for layer in layers if layer.file == file)
        self._values = layered(layers, first, problems)
        self._findings = Findings(self._values, problems)

    def agent(self) -> AgentFile | None:
        table = self._read()
        if table is None:
            return None
        say = self._findings
        secrets = Secrets(self._environ, say)
        model = build_model(table.llm, table.retry, secrets, say)
        home = self._home or self._folder / table.home
        tools = build_toolset(table.tools, self._folders, say)
        root = self._folder / table.tools.root
        workspace = build_workspace(table.tools, root, home / "outputs", self._environ, secrets, say)
        subscribe = tuple(self._subscribe(table))
        spec = attrs.evolve(self._spec(table, model, tools), workspace=workspace, secrets=secrets.all)
        self._note_what_has_no_effect(table)
        if say.problems:
            return None
        return AgentFile(
            file=self._file,
            spec=spec,
            home=home,
            retention=table.journal.retention(),
            subscribe=subscribe,
            verbose=table.observe.verbose,
            values=tuple(settings(table, self._folder, self._values, model)),
            notes=tuple(dict.fromkeys(say.notes)),
        )

    # Reading

    def _read(self) -> AgentFileTable | None:
        """The tables; where they have wrong values as if these were not there, so that the rest is checked as well."""
        data = {"agent": {}, "llm": {}, **self._values.data}
        found: list[Problem] = []
        read = structure(data, AgentFileTable, "", found)
        for problem in found:
            key = problem.key.removeprefix(".")
            self._findings.problem(key, problem.what, problem.hint)
            data = _without(data, key.partition("[")[0].split("."))
        if read is None:
            for key, value in _STAND_INS.items():
                section, _, name = key.partition(".")
                inner = data.get(section)
                if not isinstance(inner, dict) or name not in inner:
                    data = {**data, section: {**(inner if isinstance(inner, dict) else {}), name: value}}
            read = structure(data, AgentFileTable, "", [])
        return read

    # Building

    def _spec(self, table: AgentFileTable, model: BuiltModel, tools: Toolset) -> AgentSpec:
        agent, think, budget = table.agent, table.think, table.budget
        if not agent.name.strip() or "/" in agent.name or not agent.name.isprintable():
            self._findings.problem("agent.name", "a name can be printed, is not empty and has no '/'")
        return AgentSpec(
            name=agent.name.strip() or "agent",
            model=model.spec,
            persona=self._persona(table),
            description=agent.description,
            capabilities=tuple(self._capabilities(table)),
            toolbox=tools.toolbox,
            talk=tools.talk,
            limits=Limits(
                turns=think.max_iterations,
                tokens=budget.tokens,
                cost=budget.cost,
                calls=budget.calls,
                seconds=budget.seconds,
            ),
            output=self._output(agent.output),
            reflection=think.reflection,
            repeat_limit=think.repeat_limit,
            corrections=think.corrections,
            parallel_tools=think.parallel_tools,
            context_tokens=think.context_tokens,
            prices=self._prices(table, model),
            timers=tuple(self._timers(agent)),
            on_doubt=think.on_doubt,
            spawn_depth=think.spawn_depth,
            attempts=think.attempts,
            memory=self._memory(table, tools),
        )

    def _memory(self, table: AgentFileTable, tools: Toolset) -> MemorySpec | None:
        think, memory = table.think, table.memory
        if not (think.auto_memory or tools.memory):
            return None
        path: Path | None = None
        if memory.backend is MemoryBackend.SQLITE:
            home = self._home or self._folder / table.home
            name = quote(table.agent.name, safe=" ")
            path = home / f"{name}.memory" if memory.path is None else self._folder / memory.path
        return self._findings.checked(
            "memory",
            lambda: MemorySpec(
                path=path,
                tools=tools.memory,
                auto=think.auto_memory,
                entries=think.max_memory_entries,
                scopes=memory.scopes,
                semantic=memory.semantic,
            ),
        )

    def _prices(self, table: AgentFileTable, model: BuiltModel) -> Mapping[str, Price]:
        prices = {name: given.price() for name, given in table.llm.prices.items()}
        if table.llm.price is not None:
            prices[model.spec.model] = table.llm.price.price()
        unknown = [one.name for one in (model.spec, *model.spec.fallback) if price_of(one, prices) is None]
        if table.budget.cost is not None and unknown:
            names = ", ".join(unknown)
            what = f"the price of {names} is not known, so that it counts as nothing; llm.price, or llm.prices, says it"
            self._findings.note("budget.cost", what)
        return prices

    def _persona(self, table: AgentFileTable) -> str:
        agent = table.agent
        if agent.persona is None:
            return agent.system_prompt or ""
        if agent.system_prompt is not None:
            self._findings.problem("agent.persona", "stands beside system_prompt; write one of them")
            return ""
        text = self._findings.text("agent.persona", agent.persona)
        if text is not None and not text.strip():
            self._findings.problem("agent.persona", f"{agent.persona} is empty")
        return (text or "").strip()

    def _capabilities(self, table: AgentFileTable) -> Iterator[Capability]:
        for number, one in enumerate(table.agent.capabilities):
            found = self._findings.checked(f"agent.capabilities[{number}]", one.capability)
            if found is not None:
                yield found

    def _subscribe(self, table: AgentFileTable) -> Iterator[Listens]:
        for number, one in enumerate(table.agent.subscribe):
            found = self._findings.checked(f"agent.subscribe[{number}]", one.listens)
            if found is not None:
                yield found

    def _timers(self, table: AgentTable) -> Iterator[TimerSpec]:
        messages: set[str] = set()
        for number, timer in enumerate(table.timers):
            if timer.message in messages:
                what = "is that of another timer: they are told apart by what they say"
                self._findings.problem(f"agent.timers[{number}].message", what)
            else:
                messages.add(timer.message)
                yield timer.timer()

    def _output(self, name: str | None) -> Output | None:
        if name is None:
            return None
        for folder in self._folders:
            put_on_path(folder)
        found: list[Problem] = []
        kind = find_class(name, "agent.output", found)
        for problem in found:
            self._findings.problem(problem.key, problem.what, problem.hint)
        if kind is None:
            return None
        output = Output(kind)
        try:
            output.schema  # noqa: B018 -- whether it has one
        except Exception as error:  # whatever a class of the user's makes of it
            self._findings.problem("agent.output", f"{name} has no JSON schema: {error}")
        return output

    def _note_what_has_no_effect(self, table: AgentFileTable) -> None:
        for key in ("home", "journal"):
            if self._home is not None and key in self._values.places:
                self._findings.note(key, "that of the tree is taken")
        memory = table.memory not in (MemoryTable(), MemoryTable(backend=MemoryBackend.IN_MEMORY))
        if memory and not table.think.auto_memory and not set(table.tools.enabled) & set(MEMORY_TOOLS):
            self._findings.note(
                "memory", f"is not used: think.auto_memory, or one of {', '.join(MEMORY_TOOLS)}, uses it"
            )


def _without(data: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """The data without what is at a path."""
    name, *rest = path
    if name not in data:
        return dict(data)
    inner = data[name]
    if rest and isinstance(inner, dict):
        return {**data, name: _without(inner, rest)}
    return {other: one for other, one in data.items() if other != name}
