"""Budgets that agents share: of a supervisor, for everything below it, over all turns and restarts.

What was spent is kept in the journal with the records that spent it. A call, of a model or of tools, is reserved before
it is made, so that many agents at once do not overdraw what each of them alone would not.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from anima.llm import ModelRequest, Usage
from anima_supervisors import BadSpec

from ._answer import Spent, StopReason
from ._context import expected_usage
from ._limits import NEAR
from ._records import Compacted, ModelAnswered, Record, ToolCalled

_REASONS = {
    "tokens": StopReason.BUDGET_TOKENS,
    "cost": StopReason.BUDGET_COST,
    "calls": StopReason.BUDGET_CALLS,
}


@attrs.frozen(kw_only=True)
class Budget:
    """What all agents below one supervisor may use together: tokens, US dollars, calls of tools. None is no limit.

    Raises `BadSpec`.
    """

    tokens: int | None = None
    cost: float | None = None
    calls: int | None = None

    def __attrs_post_init__(self) -> None:
        for name, limit in attrs.asdict(self).items():
            if limit is not None and not limit > 0:
                raise BadSpec(f"a budget of {name} must be above 0, not {limit!r}")


def spent_by(records: Iterable[Record]) -> Spent:
    """What these records have used, of what budgets count."""
    tokens, cost, calls = 0, 0.0, 0
    for record in records:
        match record:
            case ModelAnswered(finish=finish) | Compacted(finish=finish) if finish is not None:
                tokens += finish.usage.total_tokens
                cost += record.cost or 0.0
            case ToolCalled():
                calls += 1
    return Spent(tokens=tokens, cost=cost, calls=calls)


@attrs.define
class _Shared:
    path: str
    budget: Budget
    spent: Spent = Spent()
    reserved: Spent = Spent()

    def left(self) -> Iterator[tuple[str, float]]:
        """What of each limit is neither spent nor reserved."""
        for name in _REASONS:
            limit = getattr(self.budget, name)
            if limit is not None:
                yield name, limit - getattr(self.spent, name) - getattr(self.reserved, name)

    def words(self) -> Iterator[tuple[str, float, str]]:
        """Of each limit, which part of it is spent, and the words to say so."""
        for name in _REASONS:
            limit = getattr(self.budget, name)
            if limit is not None:
                used = getattr(self.spent, name)
                said = f"${used:.2f} of ${limit:g}" if name == "cost" else f"{used:,} of {limit:,} {name}"
                yield name, used / limit, said


class Budgets:
    """All budgets of a tree, by the path of their supervisor. `spent` is what each agent has spent before."""

    def __init__(self, budgets: Mapping[str, Budget] | None = None, spent: Mapping[str, Spent] | None = None) -> None:
        self._shared = [_Shared(path, budget) for path, budget in (budgets or {}).items()]
        for agent, one in (spent or {}).items():
            self.account(agent).spend(one)

    def account(self, agent: str, price: Callable[[Usage], float | None] = lambda _: None) -> Account:
        """What the agent at this path draws on. `price` says what so many tokens of its model cost, if it is known."""
        return Account([one for one in self._shared if agent.startswith(f"{one.path}/")], price)

    def status(self) -> dict[str, str]:
        """By the path of each supervisor that has one, how much of its budget is spent: for people."""
        return {one.path: ", ".join(said for _, _, said in one.words()) for one in self._shared}


class Account:
    """The budgets that one agent draws on, its own supervisor's and all above."""

    def __init__(self, shared: Sequence[_Shared] = (), price: Callable[[Usage], float | None] = lambda _: None) -> None:
        self._shared = shared
        self._price = price

    def need(self, request: ModelRequest) -> Spent:
        """About what a call of the model will spend."""
        if not self._shared:
            return Spent()
        usage = expected_usage(request)
        return Spent(tokens=usage.total_tokens, cost=self._price(usage) or 0.0)

    def reached(self, need: Spent = Spent(), *, calls: bool = True) -> StopReason | None:
        """The limit that is used up, or has no room for so much; None if there is none.

        Without `calls` it does not matter whether tools can still be called.
        """
        for one in self._shared:
            for name, left in one.left():
                if (name != "calls" or calls) and (left <= 0 or left < getattr(need, name)):
                    return _REASONS[name]
        return None

    def near(self) -> Iterator[tuple[str, str]]:
        """The limits of which `NEAR` is spent: a name for each, and the words to say so."""
        for one in self._shared:
            for name, part, said in one.words():
                if part >= NEAR:
                    yield f"{one.path} {name}", f"{said} of {one.path}"

    @property
    def calls_left(self) -> float:
        """So many calls of tools may still be made; infinity without a limit."""
        return min((left for one in self._shared for name, left in one.left() if name == "calls"), default=math.inf)

    @contextlib.contextmanager
    def reserved(self, need: Spent) -> Iterator[None]:
        """While the block runs, so much is taken by it; what was really spent is told by `spend`."""
        for one in self._shared:
            one.reserved += need
        try:
            yield
        finally:
            for one in self._shared:
                one.reserved -= need

    def spend(self, spent: Spent) -> None:
        """So much was spent."""
        for one in self._shared:
            one.spent += spent
