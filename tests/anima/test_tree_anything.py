"""`tree.toml`: whatever stands in the file is a tree or a configuration error."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anima.config import ConfigError, load_tree
from tests.anima.tree_files import BASE, Data, document, imports_left_as_they_were, tree_file

__all__ = ["imports_left_as_they_were", "tree_file"]


def check_outcome(file: Path) -> None:
    """A tree, or a ConfigError that gives a reason; any other exception fails the test."""
    try:
        load_tree(file)
    except ConfigError as error:
        assert error.problems
        assert all(problem.what for problem in error.problems)


over_and_over = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@over_and_over
@given(content=st.one_of(st.binary(), st.text().map(str.encode)))
@example(b"")
@example(b"\xef\xbb\xbfversion = 1")
def test_garbage_is_a_configuration_error_and_nothing_else(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    check_outcome(file)


words = st.one_of(
    st.sampled_from(
        ["home", "pipeline", "source", "web", "jobs:source", "jobs:", ":x", "jobs:source.x", "1s", "kill", ""]
    ),
    st.text(max_size=8),
)
scalars = st.one_of(words, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)


def places(data: Data, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in data.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@over_and_over
@given(
    edits=st.lists(
        st.tuples(st.sampled_from(sorted(places(BASE))), st.sampled_from(["set", "add", "delete"]), words, values),
        min_size=1,
        max_size=3,
    )
)
@example(edits=[(("supervisors",), "set", "", 5)])
@example(edits=[(("supervisors",), "set", "", "home")])
@example(edits=[(("root",), "set", "", "")])
def test_a_tree_with_anything_in_any_place_is_a_tree_or_a_configuration_error(
    file: Path, edits: list[tuple[tuple[str, ...], str, str, object]]
) -> None:
    data = copy.deepcopy(BASE)
    for path, what, name, value in edits:
        table: Any = data
        for key in path[:-1]:
            table = table.get(key) if isinstance(table, dict) else None
        if not isinstance(table, dict) or path[-1] not in table:
            continue  # an edit before has taken the place away
        match what:
            case "set":
                table[path[-1]] = value
            case "delete":
                del table[path[-1]]
            case _:
                table[name] = value
    file.write_text(document(data), encoding="utf-8")
    check_outcome(file)
