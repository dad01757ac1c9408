"""Bad specs are refused when they are made, naming the value; good ones carry the documented defaults."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from anima_supervisors import (
    After,
    Args,
    AutoShutdown,
    Backoff,
    BadSpec,
    ChildSpec,
    DynamicSupervisorSpec,
    Kill,
    Never,
    OnError,
    Restart,
    SpecFactory,
    Strategy,
    SupervisorSpec,
    given_parameters,
    unreachable_limits,
)


async def work() -> None: ...


def test_a_child_is_permanent_and_has_five_seconds_to_stop() -> None:
    spec = ChildSpec("a", work)
    assert (spec.restart, spec.shutdown, spec.significant) == (Restart.PERMANENT, After(5.0), False)
    assert (spec.start_timeout, spec.heartbeat) == (None, None)


def test_an_inner_supervisor_has_for_ever_to_stop() -> None:
    async def make() -> SupervisorSpec:
        return SupervisorSpec()

    assert ChildSpec("a", SupervisorSpec()).shutdown == Never()
    assert ChildSpec("a", DynamicSupervisorSpec()).shutdown == Never()
    assert ChildSpec("a", SpecFactory(make)).shutdown == Never()


def test_a_supervisor_restarts_one_for_one_three_times_in_five_seconds() -> None:
    spec = SupervisorSpec()
    assert (spec.strategy, spec.intensity, spec.period) == (Strategy.ONE_FOR_ONE, 3, 5.0)
    assert (spec.auto_shutdown, spec.backoff, spec.children) == (AutoShutdown.NEVER, None, ())


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"id": ""}, "id"),
        ({"id": "a/b"}, "id"),
        ({"start": 5}, "start"),
        ({"restart": "permanent"}, "restart"),
        ({"shutdown": 5.0}, "shutdown"),
        ({"significant": True}, "significant"),
        ({"start_timeout": 0}, "start_timeout"),
        ({"start_timeout": float("nan")}, "start_timeout"),
        ({"heartbeat": -1}, "heartbeat"),
        ({"heartbeat": 1.0}, "beat"),
        ({"start": SupervisorSpec(), "heartbeat": 1.0}, "heartbeat"),
        ({"on_error": {"ValueError": OnError.STOP}}, "on_error"),
        ({"on_error": {KeyboardInterrupt: OnError.STOP}}, "on_error"),
        ({"on_error": {ValueError: "stop"}}, "on_error"),
        ({"on_error": {ValueError: OnError.RESTART}, "restart": Restart.TEMPORARY}, "temporary"),
    ],
)
def test_a_bad_child_spec_is_refused_with_the_name_of_the_field(values: dict[str, Any], named: str) -> None:
    with pytest.raises(BadSpec, match=named):
        ChildSpec(**{"id": "a", "start": work, **values})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"strategy": "one_for_one"}, "strategy"),
        ({"intensity": -1}, "intensity"),
        ({"intensity": 1.5}, "intensity"),
        ({"intensity": True}, "intensity"),
        ({"period": 0}, "period"),
        ({"period": float("inf")}, "period"),
        ({"auto_shutdown": "never"}, "auto_shutdown"),
        ({"backoff": 5}, "backoff"),
        ({"children": ["a"]}, "ChildSpec"),
        ({"children": [ChildSpec("a", work), ChildSpec("a", work)]}, "'a'"),
        ({"children": [ChildSpec("a", work, Restart.TRANSIENT, significant=True)]}, "auto_shutdown"),
    ],
)
def test_a_bad_supervisor_spec_is_refused_with_the_name_of_the_field(values: dict[str, Any], named: str) -> None:
    with pytest.raises(BadSpec, match=named):
        SupervisorSpec(**values)


def test_a_dynamic_supervisor_refuses_significant_children_and_bad_limits() -> None:
    with pytest.raises(BadSpec, match="significant"):
        DynamicSupervisorSpec(template=ChildSpec("a", work, Restart.TRANSIENT, significant=True))
    with pytest.raises(BadSpec, match="max_children"):
        DynamicSupervisorSpec(max_children=-1)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="max_restarts"):
        SupervisorSpec(max_restarts=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_a_bound_is_a_finite_number_of_seconds(seconds: float) -> None:
    with pytest.raises(BadSpec, match="After"):
        After(seconds)


def test_specs_are_frozen() -> None:
    with pytest.raises(AttributeError):
        ChildSpec("a", work).id = "b"  # type: ignore[misc]
    with pytest.raises(TypeError):
        ChildSpec("a", work).on_error[ValueError] = OnError.STOP  # type: ignore[index]


class _Work:
    async def run(self, *, stop: object) -> None: ...

    async def __call__(self, *, task_status: object) -> None: ...

    @functools.wraps(work)
    async def wrapped(self, **kwargs: object) -> None: ...


async def _everything(x: int, stop: object, *, task_status: object, beat: object, emit: object) -> None: ...


async def _nothing(*stop: object, **task_status: object) -> None: ...


def test_only_explicit_keyword_parameters_are_given() -> None:
    assert given_parameters(_everything) == {"stop", "task_status", "beat", "emit"}
    assert given_parameters(_nothing) == frozenset()
    assert given_parameters(_Work().run) == {"stop"}
    assert given_parameters(_Work()) == {"task_status"}
    assert given_parameters(_Work().wrapped) == frozenset()
    assert given_parameters(functools.partial(_everything, 1, emit=print)) == {"stop", "task_status", "beat"}


def test_arguments_are_appended_to_those_of_the_template() -> None:
    async def serve(a: int, b: int, *, c: int) -> None: ...

    spec = Args(2, c=3).applied_to(ChildSpec("t", functools.partial(serve, 1)), "t-1")
    assert spec.id == "t-1"
    assert isinstance(spec.start, functools.partial)
    assert (spec.start.args, spec.start.keywords) == ((1, 2), {"c": 3})


def test_supervisors_that_can_never_give_up_are_found_by_path() -> None:
    slow = SupervisorSpec(backoff=Backoff(10.0, 60.0))
    spec = SupervisorSpec(children=[ChildSpec("in", slow), ChildSpec("ok", SupervisorSpec(backoff=Backoff()))])
    assert list(unreachable_limits(spec, "root")) == ["root/in"]


def test_kill_and_never_say_what_they_are() -> None:
    assert repr(Kill()) == "Kill()"
    assert repr(Never()) == "Never()"


def test_parameters_that_are_bound_by_position_are_not_given() -> None:
    async def count(start: int, stop: int, *, beat: object) -> None: ...

    assert given_parameters(functools.partial(count, 0, 10)) == {"beat"}


def test_the_rules_of_a_spec_do_not_change_with_the_dict_they_came_from() -> None:
    rules: dict[type[Exception], OnError] = {ValueError: OnError.STOP}
    spec = ChildSpec("a", work, on_error=rules)
    rules[KeyError] = OnError.ESCALATE
    assert dict(spec.on_error) == {ValueError: OnError.STOP}
