"""Scripts as files, TOML or JSON: the answers of a `ScriptedModel` without a line of Python.

```toml
repeat = true                      # when nothing is left, begin again

[[answers]]
when = "(?i)weather"               # only for requests whose last message has this
wait = 0.5                         # seconds
think = "I should look."
say = "One moment."                # a text, or a list of its pieces
calls = [{ name = "http", arguments = { url = "http://example.org" } }]

[[answers]]
fail = "RateLimited"               # the name of any ModelError; after `say`: in the middle of it
what = "slow down"
retry_after = 2

[[answers]]
say = "It is sunny."
finish = "length"                  # stop, tool_calls, length, filtered
usage = { input_tokens = 120, output_tokens = 4 }
```

The steps of an answer are done in the order of this list: wait, think, say, calls, fail or finish.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import tomllib
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import trio

from anima_supervisors import BadSpec

from . import _errors
from ._errors import BadRequest, ModelError
from ._request import FinishReason, ModelEvent, ModelRequest, Usage
from ._scripted import Call, End, Fail, Say, ScriptedModel, Step, Think, Wait, When
from ._spec import Timeouts

_ERRORS = {
    name: kind for name, kind in vars(_errors).items() if isinstance(kind, type) and issubclass(kind, ModelError)
}
_REASONS = {reason.value: reason for reason in FinishReason}
_TEXT, _NUMBER, _TABLE = (str,), (int, float), (dict,)
_ANSWER: dict[str, tuple[type, ...]] = {
    "when": _TEXT,
    "wait": _NUMBER,
    "think": _TEXT,
    "signature": _TEXT,
    "say": (str, list),
    "size": (int,),
    "calls": (list,),
    "fail": _TEXT,
    "what": _TEXT,
    "status": (int,),
    "retry_after": _NUMBER,
    "finish": _TEXT,
    "usage": _TABLE,
}
_CALL = {"name": _TEXT, "arguments": (dict, str), "id": _TEXT}
_USAGE = dict.fromkeys(attrs.fields_dict(Usage), (int,))
_WORDS = {str: "a text", list: "a list", dict: "a table", int: "a whole number", float: "a number", bool: "a boolean"}


@attrs.frozen
class Script:
    """What a script file says."""

    answers: tuple[When, ...]
    repeat: bool = False


def load_script(file: Path) -> Script:
    """Read and parse a script; blocks on the disk. Raises `BadSpec` with all that is wrong, each with its key path."""
    try:
        text = file.read_text(encoding="utf-8")
        parsed = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise BadSpec(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # what both parsers raise
        raise BadSpec(f"{file}: {error}") from error
    reading = _Reading(file)
    script = reading.script(parsed)
    if reading.faults:
        raise BadSpec(*reading.faults)
    return script


class ScriptFile:
    """A `ScriptedModel` whose script is read when it is asked for the first time."""

    def __init__(self, file: Path, name: str, timeouts: Timeouts = Timeouts()) -> None:
        self.name = name
        self._file = file
        self._timeouts = timeouts
        self._model: ScriptedModel | None = None
        self._lock = trio.Lock()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """See `ScriptedModel`. Raises `BadRequest` also where the file cannot be used."""
        async with self._lock:
            if self._model is None:
                try:
                    script = await trio.to_thread.run_sync(load_script, self._file)
                except BadSpec as error:
                    raise BadRequest(self.name, f"its script cannot be used: {error}") from error
                self._model = ScriptedModel(script.answers, self.name, repeat=script.repeat, timeouts=self._timeouts)
        async with contextlib.aclosing(self._model.stream(request)) as events:
            async for event in events:
                yield event


class _Reading:
    """Parses, and gathers what is wrong."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.faults: list[str] = []

    def script(self, parsed: object) -> Script:
        table = self._table(parsed, "", {"answers": (list,), "repeat": (bool,)})
        if not table.get("answers"):
            self._wrong("answers", "must be a list of tables, one at least")
        return Script(
            tuple(self._answer(answer, f"answers[{n}]") for n, answer in enumerate(table.get("answers", []))),
            table.get("repeat", False),
        )

    def _answer(self, parsed: object, key: str) -> When:
        table = self._table(parsed, key, _ANSWER)
        for word, needs in (("signature", "think"), ("what", "fail"), ("status", "fail"), ("retry_after", "fail")):
            if word in table and needs not in table:
                self._wrong(f"{key}.{word}", f"means nothing without {needs!r}")
        if "fail" in table and ("finish" in table or "usage" in table):
            self._wrong(f"{key}.fail", "an answer that fails has no finish and no usage")
        if not table.keys() & {"say", "calls", "fail", "think", "finish"}:
            self._wrong(key, "says nothing: it needs say, calls or fail")
        steps = [*self._steps(table, key)]
        try:
            return When(table.get("when", ""), steps)
        except BadSpec as error:
            self._wrong(f"{key}.when", str(error))
            return When("", steps)

    def _steps(self, table: Mapping[str, Any], key: str) -> Iterable[Step]:
        if "wait" in table:
            try:
                yield Wait(table["wait"])
            except BadSpec as error:
                self._wrong(f"{key}.wait", str(error))
        if "think" in table:
            yield Think(table["think"], table.get("signature"))
        pieces = table.get("say", [])
        for n, piece in enumerate([pieces] if isinstance(pieces, str) else pieces):
            if not isinstance(piece, str):
                self._wrong(f"{key}.say[{n}]", f"must be a text, not {piece!r}")
            elif table.get("size", 1) < 1:
                self._wrong(f"{key}.size", "must be 1 or more characters")
            else:
                yield Say(piece, table.get("size") if isinstance(pieces, str) else max(1, len(piece)))
        for n, parsed in enumerate(table.get("calls", [])):
            call = self._table(parsed, f"{key}.calls[{n}]", _CALL)
            if "name" not in call:
                self._wrong(f"{key}.calls[{n}]", "needs a name")
            yield Call(call.get("name", ""), call.get("arguments", {}), call.get("id"))
        if "fail" in table:
            kind = self._word(table["fail"], _ERRORS, f"{key}.fail")
            what = table.get("what", "the script says so")
            yield Fail(kind or ModelError, what, table.get("status"), table.get("retry_after"))
        elif "finish" in table or "usage" in table:
            reason = self._word(table["finish"], _REASONS, f"{key}.finish") if "finish" in table else None
            usage = Usage(**self._table(table["usage"], f"{key}.usage", _USAGE)) if "usage" in table else None
            yield End(reason, usage)

    def _table(self, parsed: object, key: str, types: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
        """What of a table is known and of the right type."""
        if not isinstance(parsed, dict):
            self._wrong(key, f"must be a table, not {parsed!r}")
            return {}
        good = {}
        for name, value in parsed.items():
            place = f"{key}.{name}" if key else name
            if name not in types:
                self._wrong(place, "unknown key", name, types)
            elif type(value) not in types[name]:
                words = " or ".join(_WORDS[kind] for kind in types[name] if kind is not int or float not in types[name])
                self._wrong(place, f"must be {words}, not {value!r}")
            else:
                good[name] = value
        return good

    def _word(self, word: str, words: Mapping[str, Any], key: str) -> Any:
        if word not in words:
            self._wrong(key, f"{word!r} is not known", word, words)
        return words.get(word)

    def _wrong(self, key: str, what: str, word: str = "", words: Iterable[str] = ()) -> None:
        words = sorted(words)
        close = difflib.get_close_matches(word, words, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else f" (valid: {', '.join(words)})" if words else ""
        self.faults.append(f"{self._file}: {f'{key}: ' if key else ''}{what}{hint}")
