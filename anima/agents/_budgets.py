"""Budgets that agents share: of a supervisor, for everything below it, over all turns and restarts.

What was spent is kept in the journal with the records that spent it. A call of a model is reserved before it is made,
so that many agents at once do not overdraw what each of them alone would not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

import attrs

from anima_supervisors import BadSpec

from ._answer import Spent, StopReason
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
    reserved: int = 0

    def add(self, more: Spent) -> None:
        self.spent += more

    def reached(self, tokens: int) -> StopReason | None:
        """The limit that is used up, or would be with so many tokens more."""
        used = {
            "tokens": self.spent.tokens + self.reserved + tokens,
            "cost": self.spent.cost,
            "calls": self.spent.calls,
        }
        for name, reason in _REASONS.items():
            limit = getattr(self.budget, name)
            over = limit is not None and (used[name] > limit or (name != "tokens" and used[name] >= limit))
            if over:
                return reason
        return None


class Budgets:
    """All budgets of a tree, by the path of their supervisor. `spent` is what each agent has spent before."""

    def __init__(self, budgets: Mapping[str, Budget] | None = None, spent: Mapping[str, Spent] | None = None) -> None:
        self._shared = [_Shared(path, budget) for path, budget in (budgets or {}).items()]
        for agent, one in (spent or {}).items():
            self.account(agent).spend(one)

    def account(self, agent: str) -> Account:
        """What the agent at this path draws on."""
        return Account([one for one in self._shared if agent.startswith(f"{one.path}/")])

    def status(self) -> dict[str, str]:
        """By the path of each supervisor that has one, how much of its budget is spent: for people."""
        return {one.path: ", ".join(_words(one)) for one in self._shared}


def _words(one: _Shared) -> Iterator[str]:
    for name in _REASONS:
        limit = getattr(one.budget, name)
        if limit is not None:
            used = getattr(one.spent, name)
            yield f"${used:.2f} of ${limit:g}" if name == "cost" else f"{used:,} of {limit:,} {name}"


class Account:
    """The budgets that one agent draws on, its own supervisor's and all above."""

    def __init__(self, shared: list[_Shared]) -> None:
        self._shared = shared

    def reached(self, tokens: int = 0) -> StopReason | None:
        """Why it may not ask its model for about so many tokens; None if it may."""
        return next((reason for one in self._shared if (reason := one.reached(tokens)) is not None), None)

    @contextlib.contextmanager
    def reserved(self, tokens: int) -> Iterator[None]:
        """While the block runs, so many tokens are taken by it; what was really spent is told by `spend`."""
        for one in self._shared:
            one.reserved += tokens
        try:
            yield
        finally:
            for one in self._shared:
                one.reserved -= tokens

    def spend(self, spent: Spent) -> None:
        """So much was spent."""
        for one in self._shared:
            one.add(spent)
