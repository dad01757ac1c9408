"""Which words of a question say what it is about."""

from __future__ import annotations

import unicodedata

#: Words of a query that are searched for, at most; a query can be a whole page.
MOST = 48

#: Function words of English, question words among them. In other languages such words are common, and so weigh little.
_ENGLISH = """
    a about after again against all also am an and any anyone anything are as at be because been before being below
    between both but by can could d did do does doing don down during each ever few for from further get got had has
    have having he her here hers herself him himself his how i if in into is it its itself just ll m many may me might
    more most much must my myself no nor not now of off on once only or other our ours ourselves out over own re s
    same she should so some someone something such t than that the their theirs them themselves then there these they
    this those through to too under until up upon us ve very was we were what when where whether which while who whom
    whose why will with would you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_ENGLISH.split())


def words(text: str) -> list[str]:
    """The words of a text, in small letters: runs of letters, digits and the marks on them."""
    return "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text.casefold()).split()


def terms(query: list[str], without: frozenset[str]) -> list[str]:
    """The words to search for, each once: without `without` and stop words, as long as anything remains."""
    distinct = list(dict.fromkeys(query))
    for left_out in (without | STOP_WORDS, STOP_WORDS, frozenset[str]()):
        kept = [word for word in distinct if word not in left_out]
        if kept:
            return kept[:MOST]
    return []


def match_any(terms: list[str]) -> str:
    """The query of FTS5 that finds rows with any of the words. Within quotes nothing has a meaning of its own."""
    return " OR ".join(f'"{term}"' for term in terms)  # words have no quotes in them
