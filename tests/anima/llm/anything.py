"""What a server may say, whichever format it speaks: any text, any calls, any JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from anima_tools import ToolCall

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CALLS = st.builds(
    ToolCall,
    st.just(""),
    st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
    st.dictionaries(TEXTS, TEXTS | st.integers(), max_size=3).map(json.dumps),
)
