"""The library against the traces of the real OTP supervisor, and the model that the stateful test compares with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import otp_conformance
import otp_model
from scenarios import features, scenarios

DATA = Path(__file__).parent / "data"
ENTRIES = [
    json.loads(line)
    for file in ("otp_basics.jsonl", "otp_corpus_part.jsonl")
    for line in (DATA / file).read_text(encoding="utf-8").splitlines()
]
NAMES = [entry["scenario"]["name"] for entry in ENTRIES]


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_the_library_writes_the_trace_that_otp_wrote(entry: dict[str, Any]) -> None:
    scenario = entry["scenario"]
    want = otp_conformance.canonical(scenario, entry["trace"])
    assert otp_conformance.canonical(scenario, otp_conformance.run(scenario)) == want


def test_the_model_writes_the_traces_that_otp_wrote() -> None:
    for entry in ENTRIES:
        scenario = entry["scenario"]
        want = otp_conformance.canonical(scenario, entry["trace"])
        assert otp_conformance.canonical(scenario, otp_model.run(scenario)) == want, scenario["name"]


def test_the_features_of_a_scenario_are_those_that_its_file_says() -> None:
    for entry in ENTRIES:
        assert features(entry["scenario"]) == entry["scenario"]["features"]


@settings(suppress_health_check=list(HealthCheck))
@given(scenarios())
def test_the_library_does_step_by_step_what_the_model_does(scenario: dict[str, Any]) -> None:
    want = otp_conformance.canonical(scenario, otp_model.run(scenario))
    have = otp_conformance.canonical(scenario, otp_conformance.run(scenario))
    assert have == want


def test_the_conformance_program_counts_and_its_exit_status_tells(tmp_path: Path) -> None:
    good, bad, skipped = (json.loads(json.dumps(entry)) for entry in ENTRIES[:3])
    bad["trace"]["root"] = "error"
    skipped["scenario"]["features"] = ["special"]
    file = tmp_path / "corpus.jsonl"
    file.write_text("\n".join(json.dumps(entry) for entry in (good, bad, skipped)), encoding="utf-8")
    program = [sys.executable, str(Path(otp_conformance.__file__)), str(file), "--skip", "special"]
    ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines()[-1] == "match 1, differ 1, skipped 1"
    assert ran.returncode == 1
