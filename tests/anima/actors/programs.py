"""Random programs for a system of actors: a tree, what is done from outside, what messages make their handlers do.

`programs()` is a Hypothesis strategy. Numbers in a program pick from whatever there is when it runs, so that what is
left of a failing one still means something when a part of it is dropped.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
from hypothesis import strategies as st

from anima.actors import Overflow
from anima_supervisors import After, Kill, Restart, Strategy


@attrs.frozen(repr=False)
class Act:
    """What a handler, or somebody outside, does: `to` picks from the addresses, `seconds` is a time or a timeout."""

    do: str
    to: int = 0
    seconds: float = 0.0
    script: tuple[Act, ...] = ()
    #: in a handler: whether it goes on when this fails; outside: after how many seconds it is cancelled
    catch: bool = True
    cancel: float = math.inf
    #: outside: so often, and then a pause of so many seconds; a negative one is a turn of the scheduler
    times: int = 1
    pause: float = 0.0

    def __repr__(self) -> str:
        said = {field.name: getattr(self, field.name) for field in attrs.fields(Act)[1:]}
        rest = "".join(
            f", {name}={said[name]!r}" for name in said if said[name] != attrs.fields_dict(Act)[name].default
        )
        return f"Act({self.do!r}{rest})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # Hypothesis would show all fields


@attrs.frozen
class Leaf:
    """An actor, or with `replicas` a pool."""

    kind: int
    capacity: int
    overflow: Overflow
    attempts: int
    restart: Restart
    shutdown: After | Kill
    replicas: int = 0


@attrs.frozen
class Inner:
    """A supervisor."""

    strategy: Strategy
    intensity: int
    children: list[Leaf | Inner]


@attrs.frozen
class Program:
    root: Inner
    steps: list[Act]
    max_hops: int
    #: for Trio's scheduler and the system's own randomness
    seed: int
    #: whether everything has its time before the system is left
    patient: bool


#: what a handler does by itself, and what it sends
_ALONE = ["sleep", "yield", "fail", "refuse", "stash", "unstash"] * 3
_ALONE += ["take", "take", "spawn", "deaf", "stop self", "stop other", "tell stop", "put stop"]
_SENDING = ["tell", "put", "ask", "after", "together"]
#: what somebody outside does; calls and kills come less often
_OUTSIDE = ["tell", "put", "ask"] * 5 + ["cancel", "kill", "kill", "stop", "spawn", "resize", "tell stop", "put stop"]
_TIMED = {"sleep", "deaf", "ask", "after", "together"}
_AIMED = {
    "tell",
    "put",
    "ask",
    "together",
    "stop other",
    "tell stop",
    "put stop",
    "spawn",
    "kill",
    "stop",
    "resize",
    "cancel",
}

# Times are sums of halves of halves, which floats have exactly. Strategies are made once: making one costs more than
# drawing from it.
_alone, _any, _outside = st.sampled_from(_ALONE), st.sampled_from(_SENDING * 8 + _ALONE), st.sampled_from(_OUTSIDE)
_addresses = st.integers(0, 6)
_seconds = st.sampled_from([0.125, 0.0, 0.5, 2.0, 7.0])
_cancels = st.sampled_from([math.inf, math.inf, math.inf, 0.0, 0.125, 0.5])
_catches = st.sampled_from([True, True, True, False])
_times = st.sampled_from([1, 1, 1, 2, 5])
_pauses = st.sampled_from([0.0, 0.0, -1.0, -1.0, 0.015625, 0.125, 1.0])
_few, _some, _many = st.integers(0, 2), st.integers(1, 3), st.integers(1, 25)


def _act(draw: st.DrawFn, do: str, depth: int) -> Act:
    return Act(
        do,
        draw(_addresses) if do in _AIMED else 0,
        draw(_seconds) if do in _TIMED else 0.0,
        _script(draw, depth) if do in _SENDING else (),
        draw(_catches) if do in _AIMED else True,
    )


def _script(draw: st.DrawFn, depth: int) -> tuple[Act, ...]:
    """What a message makes its handler do; it may send messages, `depth` of them in a row."""
    if not depth:
        return tuple(_act(draw, draw(_alone), 0) for _ in range(draw(_few)))
    return tuple(_act(draw, draw(_any), depth - 1) for _ in range(draw(_some)))


def _step(draw: st.DrawFn) -> Act:
    act = _act(draw, draw(_outside), 2)
    times = draw(_times) if act.do in _SENDING else 1
    return attrs.evolve(act, cancel=draw(_cancels), times=times, pause=draw(_pauses))


_booleans = st.booleans()
_leaves = st.builds(
    Leaf,
    st.integers(0, 3),
    st.sampled_from([1, 2, 3, 1000]),
    st.sampled_from([Overflow.REJECT, Overflow.REJECT, Overflow.DROP_OLDEST, Overflow.DROP_NEWEST]),
    st.integers(1, 3),
    st.sampled_from([Restart.PERMANENT, *Restart]),
    st.sampled_from([After(1.0), After(1.0), Kill()]),
    st.sampled_from([0, 0, 0, 0, 1, 2, 3]),
)


def _inner(depth: int) -> st.SearchStrategy[Inner]:
    child: st.SearchStrategy[Any] = _leaves
    if depth:
        child = st.one_of(_leaves, _leaves, _leaves, _inner(depth - 1))
    return st.builds(
        Inner,
        st.sampled_from(Strategy),
        st.sampled_from([100, 100, 100, 100, 100, 1, 0]),
        st.lists(child, min_size=1, max_size=3),
    )


_roots = _inner(1)
_hops = st.sampled_from([64, 64, 3])
_seeds = st.integers(0, 2**16)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Programs for `World.run`."""
    steps = [_step(draw) for _ in range(draw(_many))]
    return Program(draw(_roots), steps, draw(_hops), draw(_seeds), draw(_booleans))
