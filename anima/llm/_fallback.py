"""Asking another model when one cannot answer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence

import trio

from anima_supervisors import BadSpec

from ._errors import BadRequest, ContextOverflow, ModelError
from ._incidents import FallingBack, IncidentHook, ignore
from ._request import Finish, Model, ModelEvent, ModelRequest, Reset
from ._resilient import attempt


class CoolDowns:
    """Which models have failed lately, until when; shared by all that fall back. The time is passed in."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, key: str, until: float) -> None:
        self._until[key] = max(until, self._until.get(key, until))

    def remove(self, key: str) -> None:
        self._until.pop(key, None)

    def cooling(self, key: str, now: float) -> bool:
        """Whether it is to be left alone at `now`."""
        return now < self._until.get(key, now)


def passes_on(error: ModelError) -> bool:
    """Whether another model may do better: not where the request itself is wrong, unless it is only too long."""
    return isinstance(error, ContextOverflow) or not isinstance(error, BadRequest)


class FallbackModel:
    """Asks the first of some models; when that cannot answer, the next one.

    One that has failed is left alone for `cool_down` seconds, unless it was only the request that was too long for it;
    when all of them have failed lately, they are asked all the same. `keys` tells them apart among `cool_downs` (by
    default: their names).
    """

    def __init__(
        self,
        models: Sequence[Model],
        cool_down: float = 30.0,
        *,
        cool_downs: CoolDowns | None = None,
        keys: Sequence[str] | None = None,
        on_incident: IncidentHook = ignore,
    ) -> None:
        if not models:
            raise BadSpec("a FallbackModel needs one model at least")
        self._models = tuple(models)
        self._keys = tuple(keys or [model.name for model in models])
        self._cool_down = cool_down
        self._cool_downs = cool_downs or CoolDowns()
        self._on_incident = on_incident
        self.name = models[0].name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Ask; see `Model.stream`. Raises the last error, which tells of those before it."""
        now = trio.current_time()
        candidates = [*zip(self._models, self._keys, strict=True)]
        rested = [(model, key) for model, key in candidates if not self._cool_downs.cooling(key, now)]
        candidates = rested or candidates
        errors: list[ModelError] = []
        for n, (model, key) in enumerate(candidates):
            begun, failure = False, None
            async with contextlib.aclosing(attempt(model, request)) as events:
                async for event in events:
                    if isinstance(event, ModelError):
                        failure = event
                        break
                    begun = not isinstance(event, Reset)
                    if isinstance(event, Finish):
                        self._cool_downs.remove(key)
                    yield event
            if failure is None:
                return
            if not passes_on(failure):
                raise failure
            errors.append(failure)
            if not isinstance(failure, ContextOverflow):
                self._cool_downs.add(key, trio.current_time() + self._cool_down)
            if n + 1 < len(candidates):
                self._on_incident(FallingBack(model.name, failure, candidates[n + 1][0].name))
                if begun:
                    yield Reset(str(failure))
        raise _all_of(errors)


def _all_of(errors: Sequence[ModelError]) -> ModelError:
    last = errors[-1]
    if len(errors) == 1:
        return last
    what = "; ".join([str(last).removeprefix(f"{last.model}: "), *(f"before it, {error}" for error in errors[:-1])])
    whole = type(last)(last.model, what, status=last.status, retry_after=last.retry_after)
    whole.__cause__ = last
    return whole
