"""The library against the traces of the real OTP supervisor, and the model that the stateful test compares with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import otp_conformance
import otp_model
from scenarios import features, scenarios

DATA = Path(__file__).parent / "data"
BASICS = list(otp_conformance.entries(DATA / "otp_basics.jsonl"))
CORPUS = list(otp_conformance.entries(DATA / "otp_corpus.jsonl.gz"))


def differing(run: Callable[[dict[str, Any]], dict[str, Any]], entries: list[dict[str, Any]]) -> list[str]:
    """The names of the scenarios in which `run` does something else than OTP did."""
    names = []
    for entry in entries:
        scenario = entry["scenario"]
        if otp_conformance.canonical(scenario, run(scenario)) != otp_conformance.canonical(scenario, entry["trace"]):
            names.append(scenario["name"])
    return names


@pytest.mark.parametrize("entry", BASICS, ids=[entry["scenario"]["name"] for entry in BASICS])
def test_the_library_does_what_otp_did(entry: dict[str, Any]) -> None:
    assert differing(otp_conformance.run, [entry]) == []


def test_the_library_writes_the_thousand_random_traces_that_otp_wrote() -> None:
    assert len(CORPUS) == 1000
    assert differing(otp_conformance.run, CORPUS) == []


def test_the_model_writes_all_traces_that_otp_wrote() -> None:
    assert differing(otp_model.run, [*BASICS, *CORPUS]) == []


def test_the_features_of_a_scenario_are_those_that_its_file_says() -> None:
    for entry in [*BASICS, *CORPUS]:
        assert features(entry["scenario"]) == entry["scenario"]["features"]


@settings(suppress_health_check=list(HealthCheck))
@given(scenarios())
def test_the_library_does_step_by_step_what_the_model_does(scenario: dict[str, Any]) -> None:
    want = otp_conformance.canonical(scenario, otp_model.run(scenario))
    have = otp_conformance.canonical(scenario, otp_conformance.run(scenario))
    assert have == want


def test_the_conformance_program_counts_and_its_exit_status_tells(tmp_path: Path) -> None:
    good, bad, skipped = (json.loads(json.dumps(entry)) for entry in BASICS[:3])
    bad["trace"]["root"] = "error"
    skipped["scenario"]["features"] = ["special"]
    file = tmp_path / "corpus.jsonl"
    file.write_text("\n".join(json.dumps(entry) for entry in (good, bad, skipped)), encoding="utf-8")
    program = [sys.executable, str(Path(otp_conformance.__file__)), str(file), "--skip", "special"]
    ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines()[-1] == "match 1, differ 1, skipped 1"
    assert ran.returncode == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"", "has no scenario"),
        (b"{}\n", ":1: must be"),
        (b"\n{\n", ":2: is no JSON"),
        (b"\xff", "utf-8"),
    ],
)
def test_a_file_that_is_no_corpus_is_told_with_its_line_and_status_2(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    file = tmp_path / "corpus.jsonl"
    if content is not None:
        file.write_bytes(content)
    program = [sys.executable, str(Path(otp_conformance.__file__)), str(file)]
    ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert why in ran.stderr
    assert "Traceback" not in ran.stderr
