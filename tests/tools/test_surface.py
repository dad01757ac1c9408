"""The surface itself: what is exported, typed and imported."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources

import pytest

import anima_tools


def test_everything_public_is_listed_and_everything_listed_is_there() -> None:
    listed = set(anima_tools.__all__)
    public = {name for name, value in vars(anima_tools).items() if not name.startswith("_")}
    modules = {name for name in public if type(getattr(anima_tools, name)).__name__ == "module"}
    assert public - modules == listed


@pytest.mark.parametrize("name", anima_tools.__all__)
def test_everything_public_says_what_it_is(name: str) -> None:
    assert (getattr(anima_tools, name).__doc__ or "").strip()


def test_the_package_is_typed() -> None:
    assert resources.files("anima_tools").joinpath("py.typed").is_file()


def test_tools_need_no_other_floor_and_load_what_is_heavy_when_it_is_used() -> None:
    program = "import sys, anima_tools; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert not loaded & {"anima", "anima_supervisors", "cattrs", "click", "loguru", "rich", "hypothesis"}
    assert not loaded & {"httpx", "msgspec", "importlib.metadata", "http"}
