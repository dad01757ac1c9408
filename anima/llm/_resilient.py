"""Asking again, so that what comes out is one whole answer, or an error.

No cancel scope is open while an event is given away: who reads the stream may be in another one by then.
"""

from __future__ import annotations

import contextlib
import math
import random as randomness
from collections.abc import AsyncGenerator
from random import Random

import trio

from ._errors import BrokenStream, CircuitOpen, ModelError, ModelTimeout
from ._incidents import IncidentHook, Retrying, ignore
from ._request import Finish, Model, ModelEvent, ModelRequest, Reset
from ._spec import Retry


def backoff(retry: Retry, failures: int, retry_after: float | None, random: Random) -> float:
    """The wait, in seconds, after so many `failures` (1 or more): full jitter, on top of what the server wants."""
    try:
        ceiling = min(retry.max_delay, retry.initial_delay * retry.exponential_base ** (failures - 1))
    except OverflowError:
        ceiling = retry.max_delay
    return (retry_after or 0.0) + random.uniform(0, ceiling)


def reason_to_stop(retry: Retry, error: ModelError, failures: int, delay: float, left: float) -> str | None:
    """Why nobody is asked again after this error, to be said with it; empty if it says enough; None: go on."""
    if not error.retryable:
        return ""
    if failures > retry.max_retries:
        return f"given up after {failures} attempts" if failures > 1 else ""
    if error.retry_after is not None and error.retry_after > retry.retry_after_cap:
        cap = f"retry_after_cap is {retry.retry_after_cap:g} s"
        return f"given up: it wants to be left alone for {error.retry_after:g} s, and {cap}"
    if left <= 0:
        return f"given up after the {retry.total:g} s that all attempts have"
    if delay >= left:
        return f"given up: the next attempt would be beyond the {retry.total:g} s that all of them have"
    return None


class ResilientModel:
    """Asks a model again when it fails in a way that may pass.

    Before the first event that is silent, but for `on_incident`; later a `Reset` says that what came is void. While a
    circuit is open it waits, without counting that as an attempt; an impatient one does not, nor one without retries:
    another model can be asked instead.
    """

    def __init__(
        self,
        model: Model,
        retry: Retry = Retry(),
        *,
        random: Random | None = None,
        patient: bool = True,
        on_incident: IncidentHook = ignore,
    ) -> None:
        self.name = model.name
        self._model = model
        self._retry = retry
        self._random = random or randomness.Random()
        self._patient = patient and retry.max_retries > 0
        self._on_incident = on_incident

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Ask; see `Model.stream`. All attempts, and the waits between them, end within `retry.total` seconds."""
        deadline = trio.current_time() + self._retry.total
        failures = 0
        while True:
            begun, failure = False, None
            async with contextlib.aclosing(attempt(self._model, request, deadline)) as events:
                async for event in events:
                    if isinstance(event, ModelError):
                        failure = event
                        break
                    begun = not isinstance(event, Reset)
                    yield event
            if failure is None:
                return
            untold = isinstance(failure, CircuitOpen)  # nothing was sent: that is no attempt
            failures += not untold
            delay = backoff(self._retry, max(1, failures), failure.retry_after, self._random)
            reason = reason_to_stop(self._retry, failure, failures, delay, deadline - trio.current_time())
            if untold and not self._patient:
                reason = ""
            if reason is not None:
                raise _with(failure, reason)
            self._on_incident(Retrying(self.name, failure, delay, failures + 1))
            if begun:
                yield Reset(str(failure))
            await trio.sleep(delay)


async def attempt(
    model: Model, request: ModelRequest, deadline: float = math.inf
) -> AsyncGenerator[ModelEvent | ModelError, None]:
    """The events of one attempt, up to its `Finish`, or, as the last, the error that ended it."""
    async with contextlib.aclosing(model.stream(request)) as events:
        event: ModelEvent | ModelError | None = None
        while not isinstance(event, Finish | ModelError):
            if deadline == math.inf:
                event = await _next(events)
            else:
                with trio.CancelScope(deadline=deadline) as scope:
                    event = await _next(events)
                if scope.cancelled_caught:
                    event = ModelTimeout(model.name, "the time for all attempts together is over")
            if event is None:
                event = BrokenStream(model.name, "the answer ended before its end")
            yield event


async def _next(events: AsyncGenerator[ModelEvent, None]) -> ModelEvent | ModelError | None:
    """The next event, or the error that comes instead; None if nothing does."""
    try:
        return await anext(events, None)
    except ModelError as error:
        return error


def _with(error: ModelError, reason: str) -> ModelError:
    """The same error, which also says why nobody is asked again."""
    if not reason:
        return error
    what = str(error).removeprefix(f"{error.model}: ")
    more = type(error)(error.model, f"{what} ({reason})", status=error.status, retry_after=error.retry_after)
    more.__cause__ = error
    return more
