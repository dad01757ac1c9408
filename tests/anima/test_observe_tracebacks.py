"""Tracebacks for people: the user's frames only, and groups shown flat."""

from __future__ import annotations

import os
import re

import trio

from anima.observe import trimmed
from tests.anima.event_examples import stumble


async def fail_in_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        for message in ("left", "right"):
            nursery.start_soon(trio.to_thread.run_sync, stumble_out_loud, message)


def stumble_out_loud(message: str) -> None:
    raise ValueError(message)


async def test_a_traceback_has_the_users_frames_only() -> None:
    try:
        await trio.to_thread.run_sync(stumble_out_loud, "boom")
    except ValueError as error:
        text = trimmed(error)
    files = re.findall(r'File "(.*)", line', text)
    assert len(files) == 2
    assert set(files) == {__file__}
    assert text.endswith("ValueError: boom")


async def test_of_a_group_each_error_is_shown_flat() -> None:
    try:
        await fail_in_a_nursery()
    except ExceptionGroup as group:
        text = trimmed(ExceptionGroup("outer", [group]))
    assert text.count("Traceback (most recent call last):") == 2
    assert "ValueError: left" in text
    assert "ValueError: right" in text
    assert "Group" not in text
    assert "  |" not in text


async def test_a_group_behind_an_error_is_shown_flat_too() -> None:
    try:
        try:
            await fail_in_a_nursery()
        except ExceptionGroup as group:
            raise RuntimeError("both sides failed") from group
    except RuntimeError as error:
        text = trimmed(error)
    assert text.endswith("RuntimeError: both sides failed")
    assert "ValueError: left" in text
    assert "  |" not in text
    assert {os.path.basename(file) for file in re.findall(r'File "(.*)", line', text)} == {os.path.basename(__file__)}


def test_the_cause_of_an_error_is_shown_with_it() -> None:
    try:
        try:
            stumble_out_loud("first")
        except ValueError as first:
            raise KeyError("second") from first
    except KeyError as error:
        text = trimmed(error)
    assert text.index("ValueError: first") < text.index("direct cause") < text.index("KeyError: 'second'")


def test_trimming_leaves_the_error_as_it_is() -> None:
    error = stumble("x")
    before = error.__traceback__
    trimmed(error)
    assert error.__traceback__ is before
