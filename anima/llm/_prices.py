"""What tokens cost, in US dollars: defaults that are to be overridden, as prices change without notice."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from anima_supervisors import BadSpec

from ._request import Usage
from ._spec import ModelSpec

_MILLION = 1_000_000


@attrs.frozen
class Price:
    """Dollars for a million tokens. What is read from the provider's cache, or written to it, costs as `input` if None.

    Raises `BadSpec`.
    """

    input: float
    output: float
    cached: float | None = None
    cache_write: float | None = None

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            if value is not None and not 0 <= value < float("inf"):
                raise BadSpec(f"price {name} must be a number of dollars, 0 or more, not {value!r}")


FREE = Price(0.0, 0.0)

#: By the beginning of the model's name, the longest that fits. List prices as of the end of 2025, without discounts and
#: surcharges: what is newer, or cheaper for you, belongs into the configuration. Unknown is better than wrong.
PRICES: Mapping[str, Price] = {
    "claude-haiku-4-5": Price(1.0, 5.0, 0.1, 1.25),
    "claude-opus-4-5": Price(5.0, 25.0, 0.5, 6.25),
    "claude-sonnet-4": Price(3.0, 15.0, 0.3, 3.75),
    "claude-sonnet-4-5": Price(3.0, 15.0, 0.3, 3.75),
    "gpt-4.1": Price(2.0, 8.0, 0.5),
    "gpt-4.1-mini": Price(0.4, 1.6, 0.1),
    "gpt-4o": Price(2.5, 10.0, 1.25),
    "gpt-4o-mini": Price(0.15, 0.6, 0.075),
    "gpt-5": Price(1.25, 10.0, 0.125),
    "gpt-5-mini": Price(0.25, 2.0, 0.025),
}

#: Whoever runs these pays for the machine alone.
_FREE_PROVIDERS = frozenset({"local", "ollama", "replay", "scripted"})

#: Names that begin like one with a price go on like this if they are the same model: a date, or a tag.
_SAME = ("-2", "@", ":")


def price_of(spec: ModelSpec, prices: Mapping[str, Price] | None = None) -> Price | None:
    """What a model costs; None if that is not known, which is not the same as nothing.

    `prices`, by the beginning of the model's name, are looked at before the defaults.
    """
    if (price := _longest(spec.model, prices or {}, exact=False)) is not None:
        return price
    if spec.provider in _FREE_PROVIDERS:
        return FREE
    return _longest(spec.model, PRICES, exact=True)


def _longest(model: str, prices: Mapping[str, Price], *, exact: bool) -> Price | None:
    """That of the longest name that the model's begins with; `exact`: only a date or a tag may follow."""
    model = model.rpartition("/")[2] if exact else model  # routers put the maker's name before it
    for name in sorted(prices, key=len, reverse=True):
        rest = model[len(name) :]
        if model.startswith(name) and (not exact or not rest or rest.startswith(_SAME)):
            return prices[name]
    return None


def cost(usage: Usage, price: Price | None) -> float | None:
    """What was used, in dollars; None if the price is not known."""
    if price is None:
        return None
    plain = usage.input_tokens - usage.cached_tokens - usage.cache_writes
    cached = price.input if price.cached is None else price.cached
    written = price.input if price.cache_write is None else price.cache_write
    total = max(0, plain) * price.input + usage.cached_tokens * cached + usage.cache_writes * written
    return (total + usage.output_tokens * price.output) / _MILLION
