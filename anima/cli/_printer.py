"""A turn on the terminal: the answer on stdout as it comes, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from anima.agents import (
    Answer,
    ModelAsked,
    ModelErred,
    ModelReplied,
    StopReason,
    TextReset,
    TextStreamed,
    ToolBegun,
    ToolDone,
    TurnEvent,
    TurnStarted,
)
from anima.llm import redacted

#: Arguments and results are shown in one line of at most so many characters.
SHOWN = 160


class Printer:
    """Prints the events of turns. Called in one thread at a time; blocks while the terminal is paused.

    `stream`: the text is printed as it comes. `verbose`: so are steps, tools, tokens and costs. What tools are given,
    and give, is `redacted`.
    """

    def __init__(self, *, stream: bool, verbose: bool, redacted: Callable[[str], str] = redacted) -> None:
        self._out, self._err = sys.stdout, sys.stderr
        self._stream = stream
        self._verbose = verbose
        self._redacted = redacted
        self._step_text = ""
        self._open_line = False
        #: what happened, a table for each step, for `--json`
        self.steps: list[dict[str, Any]] = []

    def make_room(self) -> None:
        """Something else is about to be written to the terminal: let it begin on a line of its own."""
        if self._open_line and all(stream is not None and stream.isatty() for stream in (self._out, self._err)):
            _print(self._err, "\n")

    def show(self, events: list[TurnEvent]) -> None:
        """Print what has happened."""
        for event in events:
            self._one(event)
        self._flush()

    def _one(self, event: TurnEvent) -> None:
        match event:
            case TextStreamed(_, text):
                self._step_text += text
                if self._stream:
                    self._write(text)
            case TextReset(_, why):
                self._note(f"what was said is void, it begins again: {why}")
                self._step_text = ""
            case ModelErred(_, error, again) if again:  # without it, the end of the turn says so
                self._note(f"{error} ({again})")
            case TurnStarted(resumed=True):
                self._note("going on with a turn that was cut off")
            case ModelAsked(_, step, model):
                self._step_text = ""
                self._detail(f"step {step}: asking {model}")
            case ModelReplied():
                self._replied(event)
            case ToolBegun(_, step, tool, arguments):
                self._detail(f"step {step}: {tool} {one_line(self._redacted(arguments))}")
            case ToolDone(_, step, tool, failed, content, seconds):
                word = "failed" if failed else "done"
                self._detail(f"step {step}: {tool} {word} in {seconds:.2f} s: {one_line(self._redacted(content))}")
                self.steps.append({"step": step, "tool": tool, "failed": failed, "seconds": round(seconds, 3)})
            case _:
                pass

    def _replied(self, event: ModelReplied) -> None:
        usage = event.usage
        step: dict[str, Any] = {"step": event.step, "model": event.model, "seconds": round(event.seconds, 3)}
        step |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "cost": event.cost}
        self.steps.append(step)
        if self._open_line and not self._step_text.endswith("\n"):
            self._write("\n")  # the next step begins on a line of its own
        self._open_line = False
        tokens = f"{usage.input_tokens} + {usage.output_tokens} tokens{_price(event.cost)}"
        self._detail(f"step {event.step}: {event.model} answered in {event.seconds:.2f} s, {tokens}")

    def finish(self, answer: Answer) -> None:
        """Print what is left to be printed of an answer, and, where it is not whole, why."""
        if not self._stream and answer.text:
            self._write(answer.text if answer.text.endswith("\n") else f"{answer.text}\n")
        elif self._stream and answer.text.startswith(self._step_text):
            self._write(answer.text[len(self._step_text) :])  # what was told too slowly to be shown
        elif self._stream and answer.text:
            self._note("the best answer so far:")
            self._write(f"{answer.text}\n")
        if self._open_line and not answer.text.endswith("\n"):
            self._write("\n")
        self._open_line = False
        if not answer.complete:
            why = f": {self._redacted(answer.error)}" if answer.error else ""
            self._note(f"{WORDS[answer.stop_reason]} ({answer.stop_reason.value}){why}")
        self._detail(
            f"{answer.steps} steps in {answer.seconds:.2f} s,"
            f" {answer.usage.input_tokens} + {answer.usage.output_tokens} tokens{_price(answer.cost)}"
        )
        self._flush()

    def result(self, answer: Answer) -> str:
        """The result of `--json`: one object on one line."""
        return result_object(answer, self.steps, answer.error and self._redacted(answer.error))

    def print_line(self, text: str) -> None:
        """A line of its own on stdout. Raises `OSError` where there is none."""
        if self._out is None:
            raise OSError("standard output is closed")
        self._write(f"{text}\n")
        self._flush()

    def _flush(self) -> None:
        for stream in (self._out, self._err):
            if stream is not None:
                stream.flush()

    def _write(self, text: str) -> None:
        _print(self._out, text)
        if text:
            self._open_line = not text.endswith("\n")

    def _note(self, text: str) -> None:
        """Something that everyone wants to know."""
        if self._open_line:
            self._write("\n")
        _print(self._err, f"anima: {text}\n")

    def _detail(self, text: str) -> None:
        if self._verbose:
            if self._open_line:
                self._write("\n")
            _print(self._err, f"{text}\n")


#: Why a turn ended, for people.
WORDS = {
    StopReason.END_TURN: "answered",
    StopReason.MAX_TURNS: "stopped: as many calls of the model as it may make",
    StopReason.MAX_TOKENS: "stopped: the answer is as long as one may be",
    StopReason.BUDGET_TOKENS: "stopped: its tokens are used up",
    StopReason.BUDGET_COST: "stopped: its money is used up",
    StopReason.BUDGET_TIME: "stopped: its time is used up",
    StopReason.BUDGET_CALLS: "stopped: as many calls of tools as it may make",
    StopReason.REPEAT_DETECTED: "stopped: it did the same again and again",
    StopReason.CANCELLED: "interrupted",
    StopReason.AWAITING_APPROVAL: "waiting for somebody to decide",
    StopReason.IN_DOUBT: "stopped: it is not known whether a step took effect",
    StopReason.LLM_ERROR: "failed: the model could not answer",
    StopReason.TOOL_ERROR: "failed: its tools could not be used",
    StopReason.INVALID_RESPONSE: "failed: the model's answers were of no use",
    StopReason.CONTEXT_OVERFLOW: "failed: it is longer than the model can read",
    StopReason.SUPERVISOR_SHUTDOWN: "parked: the program ends",
}


def _price(cost: float | None) -> str:
    """What something cost, if it is known and not nothing."""
    return f", ${cost:.4f}" if cost else ""


def one_line(text: str) -> str:
    """A text on one line, without control characters, shortened in its middle."""
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split())
    if len(text) <= SHOWN:
        return text
    half = (SHOWN - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def failure_object(error: str, run: str) -> str:
    """The result of `--json` where there is no answer."""
    return json.dumps({"answer": "", "stop_reason": None, "error": error, "run": run})


def result_object(answer: Answer, steps: list[dict[str, Any]], error: str | None) -> str:
    """The result of `--json`: one object on one line."""
    usage = answer.usage
    return json.dumps(
        {
            "answer": answer.text,
            "stop_reason": answer.stop_reason.value,
            "error": error,
            "output": _plain(answer.output),
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cached_tokens": usage.cached_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
                "cost": answer.cost,
            },
            "steps": sorted(steps, key=lambda step: step["step"]),
            "seconds": round(answer.seconds, 3),
            "run": answer.turn,
        }
    )


def _plain(output: object) -> object:
    if output is None:
        return None
    import msgspec

    return json.loads(msgspec.json.encode(output))


def _print(stream: Any, text: str) -> None:
    """Also where the terminal's encoding lacks a character, or a model has sent half a surrogate pair."""
    if stream is None:
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
