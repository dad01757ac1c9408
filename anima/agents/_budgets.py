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
    #: who waits for room, in the order in which they came; only the first may take some
    queue: list[Account] = attrs.field(factory=list)

    @property
    def reserved(self) -> Spent:
        return sum(self.reservations, Spent())

    def wake(self) -> None:
        """Something has changed: the first in the queue looks again."""
        if self.queue:
            self.queue[0].wake()

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
        for agent, one in (spent or {}).items():
            self.account(agent).spend(one)

    def account(self, agent: str, estimate: Callable[[ModelRequest], Spent] = _nothing) -> Account:
        """What the agent at this path draws on; `estimate` says what a request will spend."""
        return Account([one for one in self._shared if agent.startswith(f"{one.path}/")], estimate)

    def status(self) -> dict[str, str]:
        """By the path of each supervisor that has one, how much of its budget is spent: for people."""
        return {one.path: ", ".join(said for _, _, said in one.words()) for one in self._shared}


class Account:
    """The budgets that one turn of an agent draws on: its own supervisor's and all above."""

    def __init__(self, shared: Sequence[_Shared] = (), estimate: Callable[[ModelRequest], Spent] = _nothing) -> None:
        self._shared = shared
        self._estimate = estimate
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
        """Whether it may be reserved now: there is room, and nobody waits longer.

        If not, and no limit is `reached`, it may be after `wait_for_room`.
        """
        return all(self._fits(need, one) for one in self._shared)

    def _fits(self, need: Spent, one: _Shared) -> bool:
        reserved = one.reserved
        wanted = {name: getattr(need, name) for name, _ in one.left()}
        if not any(wanted.values()):
            return True
        if one.queue and one.queue[0] is not self:
            return False
        return all(not wanted[name] or getattr(reserved, name) + wanted[name] <= left for name, left in one.left())

    async def wait_for_room(self, need: Spent) -> None:
        """Wait until it is worth to look again; in the queues of those budgets alone that have no room for it now.

        Whoever waits in one queue at the head of another would hold up others, who may be those it waits for.
        """
        for one in self._shared:
            if self._fits(need, one):
                self._leave(one)
            elif self not in one.queue:
                one.queue.append(self)
        self._woken = trio.Event()
        await self._woken.wait()

    def wake(self) -> None:
        """Have it look again."""
        if self._woken is not None:
            self._woken.set()

    def leave(self) -> None:
        """Wait for no room any more."""
        for one in self._shared:
            self._leave(one)

    def _leave(self, one: _Shared) -> None:
        if self in one.queue:
            one.queue.remove(self)
            one.wake()

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
                one.wake()

    def spend(self, spent: Spent) -> None:
        """So much was spent."""
        for one in self._shared:
            one.spent += spent
