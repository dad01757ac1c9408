"""What an agent is made of, as frozen data."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from anima.hub import Capability
from anima.llm import Finish, ModelRequest, ModelSpec, Price, Secret, cost, price_of, redacted
from anima_supervisors import BadSpec
from anima_tools import Toolbox, Workspace

from . import _said as said
from ._answer import Spent
from ._context import expected_usage
from ._limits import Limits
from ._output import Output


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


def _secrets(secrets: Iterable[Secret]) -> frozenset[Secret]:
    return frozenset(secrets)


#: The tools by which agents talk: they are the agent's own, made by `_talk`.
TALK_TOOLS = ("find_agents", "ask_agent", "tell_agent", "publish", "spawn_agent")


#: The tools over its memory.
MEMORY_TOOLS = ("remember", "recall", "forget")


@attrs.frozen(kw_only=True)
class MemorySpec:
    """What an agent remembers, and where.

    `path` is the file, None while the program runs only. `tools` are those of `MEMORY_TOOLS` that it may use. With
    `auto` what fits a task is told with it, at most `entries` memories and `tokens`, and what was asked and answered is
    remembered. `scopes`, each "team:NAME", are shared with other agents of the same file. `semantic` finds by meaning
    too, which takes the extra of that name. Raises `BadSpec`.
    """

    path: Path | None = None
    tools: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    auto: bool = False
    entries: int = 10
    tokens: int = 1000
    scopes: tuple[str, ...] = ()
    semantic: bool = False

    def __attrs_post_init__(self) -> None:
        for unknown in sorted(self.tools - set(MEMORY_TOOLS)):
            raise BadSpec(f"{unknown!r} is no tool over memory; valid: {', '.join(MEMORY_TOOLS)}")
        if self.entries < 0 or self.tokens < 1:
            raise BadSpec("entries of a memory must be 0 or more, tokens 1 or more")


class OnDoubt(enum.Enum):
    """What happens to a call of which nobody knows whether it took effect, and which must not be repeated."""

    TELL = "tell"  #: the model is told so, and decides
    ASK = "ask"  #: the turn is put aside until a person has said what is the case
    FAIL = "fail"  #: the turn ends


@attrs.frozen
class TimerSpec:
    """The agent is given `message` as a task every `every` seconds."""

    every: float
    message: str

    def __attrs_post_init__(self) -> None:
        if not self.every > 0:
            raise BadSpec(f"every must be a number of seconds above 0, not {self.every!r}")


def _here() -> Workspace:
    root = Path.cwd()
    return Workspace(root=root, outputs=root / ".anima" / "outputs")


@attrs.frozen(kw_only=True)
class AgentSpec:
    """Describes one agent.

    `persona` is its system prompt, by default one that says its name. `description` is what other agents see of it, and
    `capabilities` what they find it by. `talk` names the tools, of `TALK_TOOLS`, that it may use to talk with other
    agents; `spawn_depth` how deep the agents may stand that it starts. `attempts`: so often work on one step of a turn
    begins, after crashes of the agent or the program, then the turn is put aside. `parallel_tools` run at once.
    `context_tokens`: a conversation is compacted when it is longer than half of this. `prices`, by the beginning of a
    model's name, come before those that are known. `secrets` are taken out of what is remembered by itself, and of what
    people are shown. Raises `BadSpec`.
    """

    name: str
    model: ModelSpec
    persona: str = ""
    description: str = ""
    capabilities: tuple[Capability, ...] = ()
    toolbox: Toolbox = attrs.field(factory=lambda: Toolbox(()))
    talk: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    workspace: Workspace = attrs.field(factory=_here)
    limits: Limits = Limits()
    output: Output | None = None
    reflection: bool = False
    repeat_limit: int = 3
    corrections: int = 2
    parallel_tools: int = 8
    context_tokens: int = 32_000
    timers: tuple[TimerSpec, ...] = ()
    prices: Mapping[str, Price] = attrs.field(factory=dict)
    on_doubt: OnDoubt = OnDoubt.TELL
    spawn_depth: int = 2
    attempts: int = 5
    memory: MemorySpec | None = None
    secrets: frozenset[Secret] = attrs.field(default=frozenset(), converter=_secrets, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.name.strip():
            raise BadSpec("an agent needs a name")
        for unknown in sorted(self.talk - set(TALK_TOOLS)):
            raise BadSpec(f"agent {self.name!r}: {unknown!r} is no way to talk; valid: {', '.join(TALK_TOOLS)}")
        messages = [timer.message for timer in self.timers]
        for twice in sorted({one for one in messages if messages.count(one) > 1}):
            raise BadSpec(f"agent {self.name!r}: two timers say {twice!r}; they are told apart by what they say")
        for name in ("parallel_tools", "context_tokens", "attempts"):
            if not getattr(self, name) >= 1:
                raise BadSpec(f"agent {self.name!r}: {name} must be 1 or more, not {getattr(self, name)!r}")
        for name in ("repeat_limit", "corrections", "spawn_depth"):
            if not getattr(self, name) >= 0:
                raise BadSpec(f"agent {self.name!r}: {name} must be 0 or more, not {getattr(self, name)!r}")

    def cost(self, finish: Finish) -> float | None:
        """What an answer cost, in US dollars; None where the price of who gave it is not known."""
        answered = ModelSpec(provider=finish.provider or self.model.provider, model=finish.model or self.model.model)
        return cost(finish.usage, price_of(answered, self.prices))

    def need(self, request: ModelRequest) -> Spent:
        """About what its model will spend on a request; nothing where the price is not known."""
        usage = expected_usage(request, self.model.max_tokens)
        return Spent(tokens=usage.total_tokens, cost=cost(usage, price_of(self.model, self.prices)) or 0.0)

    def redacted(self, text: str) -> str:
        """The text as people may see it: without its secrets, and without what looks like one."""
        return redacted(text, (secret.reveal() for secret in self.secrets))

    @property
    def system(self) -> str:
        """The system prompt. The same for every turn, so that providers can cache what begins with it."""
        return self.persona or said.PERSONA.format(name=self.name)
