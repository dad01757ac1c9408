"""The settings of an agent as text, each with where it is from, for `anima config show`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from anima.agents import Budget, Retention
from anima.llm import HIDDEN, PROVIDERS

from ._agent_tables import AgentFileTable
from ._layers import Layered
from ._model import BuiltModel
from ._schema import setting_paths
from ._toml import as_toml
from ._values import Duration, Size


@attrs.frozen
class Setting:
    """One key with its value, written as in TOML; `none` where there is none, secrets as `***`.

    `origin` is `default`, `provider default`, `FILE:LINE` (or FILE, where the line is not known), `environment NAME` or
    `--set`.
    """

    key: str
    value: str
    origin: str


def settings(table: AgentFileTable, folder: Path, values: Layered, model: BuiltModel) -> Iterator[Setting]:
    """All settings, in the order of the tables."""
    provider = PROVIDERS[table.llm.provider]
    defaults = {"llm.base_url": provider.base_url, "llm.tool_protocol": provider.tools}
    for path in setting_paths():
        key = ".".join(path)
        value = _at(table, path)
        place = values.places.get(key)
        origin = "default" if place is None else place.where(key)
        if key == "llm.api_key":
            yield Setting(key, as_toml(None if model.spec.api_key is None else HIDDEN), model.key_from or origin)
        elif value is None and defaults.get(key) is not None:
            yield Setting(key, as_toml(defaults[key]), "provider default")
        else:
            yield Setting(key, as_toml(_shown(key, value, folder)), origin)


def _at(table: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        table = None if table is None else getattr(table, name)
    return table


def _shown(key: str, value: Any, folder: Path) -> Any:
    match value:
        case Path():
            return folder.absolute() / value
        case dict() if key == "llm.headers":  # any of them may be a key
            return dict.fromkeys(value, HIDDEN)
        case str() if key == "llm.base_url" and ("@" in value or "?" in value):
            parts = urlsplit(value)
            user, at, host = parts.netloc.rpartition("@")
            netloc = f"{HIDDEN}{at}{host}" if user else host
            return parts._replace(netloc=netloc, query=HIDDEN if parts.query else "").geturl()
        case _:
            return value


def tree_settings(home: Path, retention: Retention, budgets: Mapping[str, Budget]) -> Iterator[str]:
    """What holds for all agents of a tree, as lines of TOML."""
    yield f"home = {as_toml(home.absolute())}"
    yield f"journal.keep = {as_toml(Duration(retention.keep))}"
    yield f"journal.size = {as_toml(Size(retention.size))}"
    for path, budget in budgets.items():
        yield f"supervisors.{path.rpartition('/')[2]}.budget = {as_toml(budget)}"
