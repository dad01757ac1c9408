"""The limits of a turn. They land it, they do not crash it: `_turn` says how."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from anima_supervisors import BadSpec

from ._answer import Spent, StopReason

#: From this part of a limit on, the model is told.
NEAR = 0.8

_REASONS = {
    "turns": StopReason.MAX_TURNS,
    "tokens": StopReason.BUDGET_TOKENS,
    "cost": StopReason.BUDGET_COST,
    "calls": StopReason.BUDGET_CALLS,
    "seconds": StopReason.BUDGET_TIME,
}

_WORDS = {
    "turns": "{spent:g} of {limit:g} calls of the model",
    "tokens": "{spent:g} of {limit:g} tokens",
    "cost": "{spent:.4f} of {limit:g} dollars",
    "calls": "{spent:g} of {limit:g} tool calls",
    "seconds": "{spent:.0f} of {limit:g} seconds",
}


@attrs.frozen(kw_only=True)
class Limits:
    """What one turn may use: calls of the model, tokens read and written, US dollars, calls of tools, seconds.

    None is no limit. At a limit the model is asked once more, without tools, for its best answer so far: that last call
    comes on top. Costs can only be limited for models whose price is known. Raises `BadSpec`.
    """

    turns: int = 10
    tokens: int | None = None
    cost: float | None = None
    calls: int | None = None
    seconds: float | None = None

    def __attrs_post_init__(self) -> None:
        for name, limit in attrs.asdict(self).items():
            if limit is not None and not limit > 0:
                raise BadSpec(f"the limit of {name} must be above 0, not {limit!r}")

    def reached(self, spent: Spent) -> StopReason | None:
        """The first limit that is reached, as the reason to stop."""
        return next((_REASONS[name] for name, used, limit in self._shares(spent) if used >= limit), None)

    def near(self, spent: Spent) -> dict[str, str]:
        """The limits of which `NEAR` is used up: their names, each with the words to say so."""
        return {
            name: _WORDS[name].format(spent=used, limit=limit)
            for name, used, limit in self._shares(spent)
            if used >= NEAR * limit
        }

    def _shares(self, spent: Spent) -> Iterator[tuple[str, float, float]]:
        for name in _REASONS:
            limit = getattr(self, name)
            if limit is not None:
                yield name, getattr(spent, name), limit
