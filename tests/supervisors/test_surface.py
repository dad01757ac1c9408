"""The surface itself: what is exported, typed and imported."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources

import pytest

import anima_supervisors


def test_everything_public_is_listed_and_everything_listed_is_there() -> None:
    listed = set(anima_supervisors.__all__)
    public = {name for name, value in vars(anima_supervisors).items() if not name.startswith("_")}
    modules = {name for name in public if type(getattr(anima_supervisors, name)).__name__ == "module"}
    assert public - modules == listed


@pytest.mark.parametrize("name", anima_supervisors.__all__)
def test_everything_public_says_what_it_is(name: str) -> None:
    value = getattr(anima_supervisors, name)
    if isinstance(value, type) or callable(value):
        assert (value.__doc__ or "").strip() or name in {"Exit", "EventHook", "Probe"}, name


def test_the_package_is_typed() -> None:
    assert resources.files("anima_supervisors").joinpath("py.typed").is_file()


def test_supervision_needs_trio_and_attrs_alone() -> None:
    program = "import sys, anima_supervisors; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert not loaded & {"anima", "anima_tools", "httpx", "click", "loguru", "rich", "cattrs", "hypothesis"}
