"""Budgets that agents share: of a supervisor, for everything below it, over all turns and restarts.

What was spent is kept in the journal with the records that spent it. A call, of a model or of tools, is reserved before
it is made, so that many agents at once do not overdraw what each of them alone would not: where others have reserved
what is left, it is waited for what they leave of it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs
import trio

from anima.llm import ModelRequest
from anima_supervisors import BadSpec

from ._answer import Spent, StopReason
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


@attrs.define(eq=False)
class _Shared:
    path: str
    budget: Budget
    spent: Spent = Spent()
    reservations: list[Spent] = attrs.field(factory=list)

    @property
    def reserved(self) -> Spent:
        return sum(self.reservations, Spent())

    def left(self) -> Iterator[tuple[str, float]]:
        """What of each limit is not spent."""
        for name in _REASONS:
            limit = getattr(self.budget, name)
            if limit is not None:
                yield name, limit - getattr(self.spent, name)

    def words(self) -> Iterator[tuple[str, float, str]]:
        """Of each limit, which part of it is spent, and the words to say so."""
        for name in _REASONS:
            limit = getattr(self.budget, name)
            if limit is not None:
                used = getattr(self.spent, name)
                said = f"${used:.2f} of ${limit:g}" if name == "cost" else f"{used:,} of {limit:,} {name}"
                yield name, used / limit, said


def _nothing(_: ModelRequest) -> Spent:
    return Spent()


class Budgets:
    """All budgets of a tree, by the path of their supervisor. `spent` is what each agent has spent before."""

    def __init__(self, budgets: Mapping[str, Budget] | None = None, spent: Mapping[str, Spent] | None = None) -> None:
        self._shared = [_Shared(path, budget) for path, budget in (budgets or {}).items()]
        #: who waits for room, in the order in which they came
        self._waiting: list[Account] = []
        for agent, one in (spent or {}).items():
            self.account(agent).spend(one)

    def account(self, agent: str, estimate: Callable[[ModelRequest], Spent] = _nothing) -> Account:
        """What the agent at this path draws on; `estimate` says what a request will spend."""
        return Account([one for one in self._shared if agent.startswith(f"{one.path}/")], estimate, self._waiting)

    def status(self) -> dict[str, str]:
        """By the path of each supervisor that has one, how much of its budget is spent: for people."""
        return {one.path: ", ".join(said for _, _, said in one.words()) for one in self._shared}


class _Line:
    """Those who wait, in the order in which they came: what is left for each when those before have theirs."""

    def __init__(self) -> None:
        self._taken: dict[int, Spent] = {}
        self._short: set[int] = set()

    def may_go(self, shared: Sequence[_Shared], need: Spent) -> bool:
        """Whether the next one has room; in a budget that has none for one before, nobody has."""
        wanted = [one for one in shared if any(getattr(need, name) for name, _ in one.left())]
        short = [id(one) for one in wanted if not self._has_room(one, need)]
        if short or any(id(one) in self._short for one in wanted):
            self._short.update(short)
            return False
        for one in wanted:
            self._taken[id(one)] = self._taken.get(id(one), Spent()) + need
        return True

    def _has_room(self, one: _Shared, need: Spent) -> bool:
        taken = one.reserved + self._taken.get(id(one), Spent()) + need
        return all(not getattr(need, name) or getattr(taken, name) <= left for name, left in one.left())


class Account:
    """The budgets that one turn of an agent draws on: its own supervisor's and all above."""

    def __init__(
        self, shared: Sequence[_Shared], estimate: Callable[[ModelRequest], Spent], waiting: list[Account]
    ) -> None:
        self._shared = shared
        self._estimate = estimate
        self._waiting = waiting
        self._wanted = Spent()
        self._woken: trio.Event | None = None

    def need(self, request: ModelRequest) -> Spent:
        """About what a call of the model will spend."""
        return self._estimate(request) if self._shared else Spent()

    def reached(self, need: Spent = Spent(), *, calls: bool = True) -> StopReason | None:
        """The limit that is used up, or has no room for so much; None if there is none.

        Without `calls` it does not matter whether tools can still be called.
        """
        return next((_REASONS[name] for _, name in self._without_room(need, calls)), None)

    def why(self, need: Spent) -> str:
        """Why there is no room for so much, for people."""
        one, name = next(self._without_room(need, calls=False))
        said = next(said for other, _, said in one.words() if other == name)
        wanted = f"${need.cost:.2f}" if name == "cost" else f"{getattr(need, name):,}"
        return f"{said} of the budget of {one.path} are spent, and the next call may need {wanted}"

    def _without_room(self, need: Spent, calls: bool) -> Iterator[tuple[_Shared, str]]:
        for one in self._shared:
            for name, left in one.left():
                if (name != "calls" or calls) and (left <= 0 or left < getattr(need, name)):
                    yield one, name

    def fits(self, need: Spent) -> bool:
        """Whether it may be reserved now: there is room, also for those who came before and wait for some of it.

        If not, and no limit is `reached`, it may be after `wait_for_room`.
        """
        before = self._waiting[: self._waiting.index(self)] if self in self._waiting else self._waiting
        line = _Line()
        for account in before:
            line.may_go(account._shared, account._wanted)
        return line.may_go(self._shared, need)

    async def wait_for_room(self, need: Spent) -> None:
        """Wait until it is worth to look again; in its place among others until something is `reserved`, or `leave`.

        Nobody is overtaken in a budget that has no room for him. So the first of all waits for those alone who have
        reserved something, which they give back; and whoever waits for one budget holds up nobody in another.
        """
        if self not in self._waiting:
            self._waiting.append(self)
        self._wanted = need
        self._woken = trio.Event()
        await self._woken.wait()

    def leave(self) -> None:
        """Wait for no room any more."""
        if self in self._waiting:
            self._waiting.remove(self)
            self._look_again()

    def _look_again(self) -> None:
        """Something has changed: wake those who may go now, or will never have room for a call and a last one."""
        line = _Line()
        for account in self._waiting:
            wanted = account._wanted
            may_go = line.may_go(account._shared, wanted)
            if account._woken is not None and (may_go or account.reached(wanted + wanted) is not None):
                account._woken.set()

    def near(self) -> Iterator[tuple[str, str]]:
        """The limits of which `NEAR` is spent: a name for each, and the words to say so."""
        for one in self._shared:
            for name, part, said in one.words():
                if part >= NEAR:
                    yield f"{one.path} {name}", f"{said} of {one.path}"

    @property
    def calls_left(self) -> float:
        """So many calls of tools may still be made; infinity without a limit."""
        found = (left - one.reserved.calls for one in self._shared for name, left in one.left() if name == "calls")
        return min(found, default=math.inf)

    @contextlib.contextmanager
    def reserved(self, need: Spent) -> Iterator[None]:
        """While the block runs, so much is taken by it; what was really spent is told by `spend`."""
        for one in self._shared:
            one.reservations.append(need)
        self.leave()
        try:
            yield
        finally:
            for one in self._shared:
                one.reservations.remove(need)
            self._look_again()

    def spend(self, spent: Spent) -> None:
        """So much was spent."""
        for one in self._shared:
            one.spent += spent
