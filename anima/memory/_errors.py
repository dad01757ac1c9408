"""What can go wrong with memory, beside what the store below raises.

MemoryFault
├── BadMemory         the caller's: what is to be remembered, or where, cannot be
└── SemanticMissing   the extra `semantic` is not installed
"""

from __future__ import annotations


class MemoryFault(Exception):
    """The base of what memory raises by itself. (`MemoryError` is Python's: no room in RAM.)"""


class BadMemory(MemoryFault, ValueError):
    """What is to be remembered, or where, cannot be; the text says which part of it. Nothing was written."""


class SemanticMissing(MemoryFault, ImportError):
    """Recall by meaning was asked for, and what it needs is not installed: `pip install 'anima[semantic]'`."""
