"""How well memories answer a query, pure: scores in, scores out. Few weights, and round ones.

They were tuned on half of a benchmark (docs/memory.md); what is not said there is not worth a weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

#: What a memory gets of the scores of those around it in its conversation: two before it, two after it.
NEIGHBOURS = {-2: 0.2, -1: 0.4, 1: 0.3, 2: 0.1}
#: The one person whom the query names said it.
SPEAKER = 0.2
#: It was said in a conversation in which somebody whom the query names spoke.
PRESENT = 0.4
#: It was said at the time that the query asks for.
ASKED_TIME = 0.1
#: For each: somebody chose to remember it; it is important (all of it at 2); it is new; it was remembered again.
LITTLE = 0.05
#: Seconds after which being new counts half.
HALF_LIFE = 30 * 86_400.0


@attrs.frozen
class Facts:
    """What is known of a memory beside its words."""

    speaker: str
    at: float
    importance: float
    chosen: bool
    count: int
    last: float


def to_one(scores: Mapping[int, float]) -> dict[int, float]:
    """The same in proportion, the best is 1."""
    best = max(scores.values(), default=0.0)
    return {id: score / best for id, score in scores.items()} if best > 0 else {}


def spread_out(scores: Mapping[int, float]) -> dict[int, float]:
    """The best becomes 1 and the worst 0: for cosines, which are all alike."""
    best, worst = max(scores.values(), default=0.0), min(scores.values(), default=0.0)
    return {id: (score - worst) / (best - worst) for id, score in scores.items()} if best > worst else to_one(scores)


def fused(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    """Half of each. Scores, not ranks: a weak list with an equal vote would pull a good one down."""
    return {id: (one.get(id, 0.0) + other.get(id, 0.0)) / 2 for id in one.keys() | other.keys()}


def credited(scores: Mapping[int, float], around: Iterable[tuple[int, int, int]]) -> dict[int, float]:
    """With what each gets from its neighbours; `around`: memory, one near it, how many steps after it that one is."""
    total = dict(scores)
    for id, neighbour, steps in around:
        if credit := NEIGHBOURS[steps] * scores.get(neighbour, 0.0):
            total[id] = total.get(id, 0.0) + credit
    return total


def little(facts: Facts, now: float) -> float:
    """What is added to memories that match, whatever the query: never enough to put the wrong one first."""
    age = max(0.0, now - facts.last)
    important = min(max(facts.importance - 1, -1.0), 1.0)
    new: float = 0.5 ** (age / HALF_LIFE)
    return LITTLE * (facts.chosen + important + new + (1 - 1 / facts.count))
