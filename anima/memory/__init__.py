"""What agents remember: written with its origin and date, recalled by what it is about, forgotten when asked to.

From the bottom up; each module imports only from those above it in this list:

- `_errors`: what can go wrong
- `_rows`, `_schema`: a memory, and its tables
- `_words`, `_times`: what a query is about, and which time it asks for
- `_ranking`: how well memories answer it, pure
- `_search`, `_vectors`: recall by words, and by meaning
- `_writing`: remembering, forgetting, taking back
- `_injection`, `_exchange`: as a piece of a prompt, as lines of JSON
- `_view`, `_memories`: what users hold in their hands; start with `open_memory`
- `_tools`: what models hold in theirs

It stands on `anima.store` and knows no agent, model or actor.
"""

from ._errors import BadMemory, MemoryFault, SemanticMissing
from ._injection import estimate_tokens
from ._memories import Memories, open_memory
from ._rows import Memory, NewMemory, Recalled, Source, Trust
from ._tools import memory_tools
from ._vectors import Embedder, SmallEmbedder
from ._view import AgentMemory

__all__ = [
    "AgentMemory",
    "BadMemory",
    "Embedder",
    "Memories",
    "Memory",
    "MemoryFault",
    "NewMemory",
    "Recalled",
    "SemanticMissing",
    "SmallEmbedder",
    "Source",
    "Trust",
    "estimate_tokens",
    "memory_tools",
    "open_memory",
]
