"""What all agents together may ask of one server: so much at once, and nothing while it is down."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import trio

from ._errors import CircuitOpen, ModelError, ModelTimeout
from ._incidents import CircuitClosed, CircuitOpened, IncidentHook, ignore
from ._request import Finish, Model, ModelEvent, ModelRequest

#: After so many failures in a row a server is left alone...
FAILURES = 5
#: ... for so many seconds; then one request tries.
OPEN_SECONDS = 30.0
#: While that one tries, the others are told to ask again after so many seconds.
PROBE_SECONDS = 1.0


class Breaker:
    """A circuit breaker, pure: the time is passed in.

    Closed, everything may go. After `failures` in a row it is open for `seconds`; then it is half-open: one request,
    the probe, may go. A first sign of life closes it, but only a whole answer has failures counted from zero again.
    """

    def __init__(self, failures: int = FAILURES, seconds: float = OPEN_SECONDS) -> None:
        self.limit = failures
        self.seconds = seconds
        self._failures = 0
        self._open_until: float | None = None
        self._begun = 0
        self._probe: int | None = None

    @property
    def is_open(self) -> bool:
        """Open, or half-open."""
        return self._open_until is not None

    def wait(self, now: float) -> float:
        """For how many seconds nobody may go; 0 if one may go at once."""
        if self._open_until is None:
            return 0.0
        if self._probe is not None:
            return PROBE_SECONDS
        return max(0.0, self._open_until - now)

    def begin(self) -> int:
        """A request goes, only when `wait` says 0; what it is called when it has ended. Half-open, it is the probe."""
        self._begun += 1
        if self.is_open:
            self._probe = self._begun
        return self._begun

    def alive(self) -> bool:
        """Something of an answer has come. True: this has closed it."""
        closed = self.is_open
        if closed:
            self._open_until = self._probe = None
            self._failures = self.limit - 1
        return closed

    def succeeded(self) -> bool:
        """A whole answer has come, or an error that is not the server's. True: this has closed it."""
        closed = self.alive()
        self._failures = 0
        return closed

    def failed(self, request: int, now: float) -> bool:
        """The server failed, or could not be reached. True: this has opened it."""
        if self.is_open and request != self._probe:
            return False  # it was sent before
        self._failures += 1
        if not self.is_open and self._failures < self.limit:
            return False
        self._open_until, self._probe = now + self.seconds, None
        return True

    def abandoned(self, request: int) -> None:
        """It has ended, and nobody has waited for how: the next one may be the probe."""
        if self._probe == request:
            self._probe = None


class Gate:
    """One server: its breaker, and the places for those who ask it at once. Fair: who came first goes first."""

    def __init__(self, concurrency: int, breaker: Breaker | None = None) -> None:
        self.breaker = breaker or Breaker()
        self._places = trio.CapacityLimiter(concurrency)

    @property
    def concurrency(self) -> int:
        return int(self._places.total_tokens)

    def narrow(self, concurrency: int) -> None:
        """Where agents disagree on how much a server may be asked at once, the smallest number holds."""
        self._places.total_tokens = min(self.concurrency, concurrency)

    async def take(self, place: object) -> None:
        await self._places.acquire_on_behalf_of(place)

    def give_back(self, place: object) -> None:
        self._places.release_on_behalf_of(place)


class LimitedModel:
    """Asks a model through a gate. Waits for a place at most `wait` seconds; gives it back when the stream ends."""

    def __init__(self, model: Model, gate: Gate, *, wait: float = 600.0, on_incident: IncidentHook = ignore) -> None:
        self.name = model.name
        self._model = model
        self._gate = gate
        self._wait = wait
        self._on_incident = on_incident

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Ask; see `Model.stream`. Raises `CircuitOpen` at once while the server is left alone."""
        self._check()
        place = object()
        with trio.move_on_after(self._wait) as scope:
            await self._gate.take(place)
        if scope.cancelled_caught:
            what = f"none of the {self._gate.concurrency} places at its server became free within {self._wait:g} s"
            raise ModelTimeout(self.name, f"{what}; raise concurrency, or ask for less at once")
        try:
            self._check()  # it may have opened meanwhile
            async with contextlib.aclosing(self._watched(request)) as events:
                async for event in events:
                    yield event
        finally:
            self._gate.give_back(place)

    def _check(self) -> None:
        wait = self._gate.breaker.wait(trio.current_time())
        if wait > 0:
            what = f"its server failed {self._gate.breaker.limit} times in a row and is left alone for {wait:.3g} s"
            raise CircuitOpen(self.name, what, retry_after=wait)

    async def _watched(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Ask, and tell the breaker how it goes."""
        breaker = self._gate.breaker
        ticket = breaker.begin()
        try:
            async with contextlib.aclosing(self._model.stream(request)) as events:
                async for event in events:
                    closed = breaker.succeeded() if isinstance(event, Finish) else breaker.alive()
                    if closed:
                        self._on_incident(CircuitClosed(self.name))
                    yield event
        except ModelError as error:
            if error.blame not in ("server", "network"):
                if breaker.succeeded():
                    self._on_incident(CircuitClosed(self.name))
            elif breaker.failed(ticket, trio.current_time()):
                self._on_incident(CircuitOpened(self.name, breaker.limit, breaker.seconds))
            raise
        finally:
            breaker.abandoned(ticket)
