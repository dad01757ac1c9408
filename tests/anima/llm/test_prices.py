"""What tokens cost: known or not known, never wrongly nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.llm import FREE, PRICES, ModelSpec, Price, Usage, cost, price_of
from anima_supervisors import BadSpec


def spec(model: str, provider: str = "openai") -> ModelSpec:
    return ModelSpec(provider=provider, model=model)


def test_each_kind_of_token_has_its_price() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=500_000, cache_writes=200_000)
    assert cost(usage, Price(3, 15, 0.3, 3.75)) == pytest.approx(0.3 * 3 + 0.5 * 0.3 + 0.2 * 3.75 + 0.1 * 15)


def test_without_a_price_of_its_own_what_is_cached_costs_as_all_input() -> None:
    assert cost(Usage(1_000_000, 0, 400_000, 100_000), Price(2, 8)) == pytest.approx(2)


def test_what_is_not_known_has_no_cost_instead_of_none_at_all() -> None:
    assert price_of(spec("something-new")) is None
    assert cost(Usage(5, 5), None) is None


@pytest.mark.parametrize("provider", ["local", "scripted", "replay", "ollama"])
def test_what_runs_here_is_free(provider: str) -> None:
    assert price_of(spec("whatever", provider)) is FREE
    assert cost(Usage(5, 5), FREE) == 0


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/gpt-4o", "gpt-4o"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("gpt-4o-audio-preview", None),
        ("gpt-5-pro", None),
        ("gpt-5.9", None),
        ("", None),
    ],
)
def test_a_name_with_a_date_means_the_same_model_and_another_word_another_one(model: str, name: str | None) -> None:
    assert price_of(spec(model)) == (None if name is None else PRICES[name])


def test_ones_own_prices_come_first_by_any_beginning() -> None:
    own = {"gpt": Price(1, 1), "gpt-4o": Price(2, 2)}
    assert price_of(spec("gpt-4o-mini"), own) == Price(2, 2)
    assert price_of(spec("gpt-9"), own) == Price(1, 1)
    assert price_of(spec("llama3", "ollama"), {"llama": Price(3, 3)}) == Price(3, 3)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_cost_is_never_negative(input: int, output: int, cached: int, written: int) -> None:
    found = cost(Usage(input, output, cached, written), Price(3, 15, 0.3, 3.75))
    assert found is not None
    assert found >= 0


def test_a_price_is_a_number_of_dollars() -> None:
    with pytest.raises(BadSpec, match="price output"):
        Price(1, -1)
