"""Agent files: whatever stands in one, or is set, is an agent or an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anima.config import ConfigError, load_agent, load_config
from anima.config._schema import setting_paths
from tests.anima.agent_files import LEAST, folder, write
from tests.anima.tree_files import document

__all__ = ["folder"]

_SCALARS = (
    st.none().map(lambda _: "x")
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["5s", "local", "scripted", "openai", "${A}", "add", "own:x", ".", "\0", "a..b"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=6,
)
_PATHS = st.sampled_from([(), *setting_paths(), *[path[:1] for path in setting_paths()], ("llm", "timeouts")])


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        inner = data.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        data = inner
    if path:
        data[path[-1]] = value
    elif isinstance(value, dict):
        data.update(value)


_QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@_QUIET
@given(changes=st.lists(st.tuples(_PATHS, _VALUES), max_size=6))
@example(changes=[(("llm", "provider"), "scripted"), (("llm", "file"), "\0")])
@example(changes=[(("llm", "file"), "x" * 5000), (("llm", "provider"), "replay")])
@example(changes=[(("agent", "persona"), "x" * 5000), (("tools", "root"), "x" * 5000)])
@example(changes=[(("home",), "x" * 5000)])
def test_whatever_stands_in_a_file_is_an_agent_or_an_error(folder: Path, changes: list[Any]) -> None:
    data: dict[str, Any] = {"agent": {"name": "ada"}, "llm": {"provider": "local"}}
    for path, value in changes:
        _put(data, path, value)
    file = write(folder, document(data))
    try:
        agent = load_config(file, environ={})
    except ConfigError as error:
        assert error.problems
        assert all(str(problem) for problem in error.problems)
    else:
        assert repr(agent)


@_QUIET
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(content=b"a" + b".a" * 3000 + b" = 1")
@example(content=b"llm.headers" + b".a" * 3000 + b" = 1")
@example(content=b"llm.provider" + b".a" * 3000 + b" = 1")
@example(content=b"agent.capabilities = [{ name = 'a', attributes" + b".a" * 3000 + b" = 1 }]")
def test_whatever_a_file_is_made_of_it_is_no_agent_without_a_reason(folder: Path, content: bytes) -> None:
    file = folder / "agent.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={})
    assert caught.value.problems


@_QUIET
@given(
    sets=st.lists(
        st.text(max_size=20)
        | st.builds("{}={}".format, st.sampled_from([".".join(path) for path in setting_paths()]), st.text(max_size=9)),
        max_size=4,
    ),
    environ=st.dictionaries(
        st.sampled_from(["ANIMA_" + "_".join(path).upper() for path in setting_paths()]),
        st.text(max_size=9),
        max_size=4,
    ),
)
@example(sets=["a" + ".a" * 3000 + "=1", "llm.headers" + ".a" * 3000 + "=1"], environ={})
def test_whatever_is_set_is_taken_or_an_error(folder: Path, sets: list[str], environ: dict[str, str]) -> None:
    file = write(folder, LEAST)
    try:
        load_agent(file, sets=sets, environ=environ)
    except ConfigError as error:
        assert error.problems
