"""The management calls, as they are carried out inside the supervisor's loop (table H of the rules)."""

from __future__ import annotations

from contextvars import Context

import attrs

from ._children import Child
from ._errors import (
    BadSpec,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartFailed,
    ChildStuck,
    MaxChildrenReached,
    StartCancelled,
    SupervisorDeadlock,
    UnsupportedByDynamic,
)
from ._inbox import Call
from ._incarnation import Incarnation, State
from ._life import Life
from ._specs import Args, ChildSpec, DynamicSupervisorSpec, Startable


@attrs.frozen
class Up:
    """The child is up. `value` is what it passed to `started`; of a supervisor, the `Supervisor`."""

    id: str
    incarnation: int
    value: object = None


@attrs.frozen
class Ignored:
    """The child said that it is not wanted. Its spec is kept unless it is temporary or its supervisor dynamic."""

    id: str


StartResult = Up | Ignored


@attrs.frozen
class ChildInfo:
    """One line of `which_children`. `incarnation` is 0 for a child that was never tried."""

    id: str
    kind: str
    state: State
    incarnation: int


@attrs.frozen
class Counts:
    """`specs`: children known; `active`: those that are up; `supervisors` and `workers` count them by kind.

    Under a dynamic supervisor with a template `specs` is 1, as in OTP.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


class Management:
    """Carries out calls on the children of one `Life`, in its loop."""

    def __init__(self, life: Life) -> None:
        self._life = life

    async def start_child(self, call: Call, new: ChildSpec | Args, context: Context) -> StartResult:
        spec, unnamed = self._spec_of(new)
        return self._result(await self._start_new(call, spec, context, unnamed=unnamed))

    async def start_task(self, call: Call, spec: ChildSpec, context: Context) -> Incarnation:
        """Start a temporary child with a made-up id; returns its incarnation."""
        named = attrs.evolve(spec, id=self.new_id(spec.id))
        child = await self._start_new(call, named, context, unnamed=True)
        assert child.incarnation is not None  # a task is up at once
        return child.incarnation

    async def _start_new(self, call: Call, spec: ChildSpec, context: Context, *, unnamed: bool) -> Child:
        """Enter a child and start it. A failed start, and one whose caller has gone, leave nothing behind."""
        life = self._life
        path = f"{life.path}/{spec.id}"
        there = life.children.get(spec.id)
        if there is not None:
            raise ChildAlreadyPresent(path) if there.incarnation is None else ChildAlreadyStarted(path)
        limit = life.spec.max_children if isinstance(life.spec, DynamicSupervisorSpec) else None
        if limit is not None and len(life.children) >= limit:
            raise MaxChildrenReached(life.path)
        child = Child(spec, path, context, unnamed=unnamed)
        life.children.add(child)
        error = await life.start(child, call)
        if error is None and not call.abandoned:
            return child
        await life.stop_one(child)
        if child.incarnation is None:
            child.down()
            life.forget(child)
        else:
            child.doomed = True  # stuck: forgotten when it is gone, or its place could be taken
        raise ChildStartFailed(path, error or StartCancelled(f"nobody waits for {path} any more"))

    def _spec_of(self, new: ChildSpec | Args) -> tuple[ChildSpec, bool]:
        """The spec to start and whether its id was made up here."""
        spec = self._life.spec
        template = spec.template if isinstance(spec, DynamicSupervisorSpec) else None
        if isinstance(new, Args):
            if template is None:
                raise BadSpec(f"{self._life.path} has no template: start_child takes a ChildSpec, not Args")
            return new.applied_to(template, new.id or self.new_id(template.id)), new.id is None
        if template is not None:
            raise BadSpec(f"{self._life.path} has a template: start_child takes Args, not a ChildSpec")
        spec.check(new)
        return new, False

    def new_id(self, stem: str) -> str:
        """An id that was not used before."""
        while True:
            id = f"{stem}-{self._life.tree.attempts.new_number(self._life.path)}"
            if self._life.children.get(id) is None and not self._life.tree.attempts.of(f"{self._life.path}/{id}"):
                return id

    def _result(self, child: Child) -> StartResult:
        if child.incarnation is None:
            self._life.restarts.settle(child)
            return Ignored(child.id)
        return Up(child.id, child.incarnation.number, child.incarnation.value)

    async def restart_child(self, call: Call, id: str) -> StartResult:
        child = self._kept(id)
        error = await self._life.start(child, call)
        if error is not None:
            if child.incarnation is None:
                child.down()
            raise ChildStartFailed(child.path, error)
        if call.abandoned and await self._life.stop_one(child):
            child.down()
        return self._result(child)

    async def delete_child(self, _: Call, id: str) -> None:
        self._life.forget(self._kept(id))

    def _kept(self, id: str) -> Child:
        """The child of this id, which has to be down."""
        if self._life.dynamic:
            raise UnsupportedByDynamic(self._life.path)
        child = self._child(id)
        if child.incarnation is not None:
            raise ChildRunning(child.path)
        if child.retry is not None:
            raise ChildRestarting(child.path)
        return child

    def _child(self, id: str) -> Child:
        child = self._life.children.get(id)
        if child is None:
            raise ChildNotFound(f"{self._life.path}/{id}")
        return child

    async def terminate_child(self, call: Call, id: str) -> None:
        child = self._child(id)
        if child.incarnation is not None and self._life.child_of(call.task) is child.incarnation:
            raise SupervisorDeadlock(child.path)
        was_due = child.retry is not None
        gone = await self._life.stop_one(child)
        if was_due:
            self._life.restarts.called_off(child)
        self._life.restarts.settle(child)
        if not gone:
            raise ChildStuck(child.path)

    async def which_children(self, _: Call) -> list[ChildInfo]:
        return [
            ChildInfo(child.id, child.kind, child.state, self._life.tree.attempts.of(child.path))
            for child in self._life.children
        ]

    async def count_children(self, _: Call) -> Counts:
        children = self._life.children
        template = isinstance(self._life.spec, DynamicSupervisorSpec) and self._life.spec.template is not None
        supervisors = sum(child.kind == "supervisor" for child in children)
        return Counts(
            specs=1 if template else len(children),
            active=sum(child.incarnation is not None for child in children),
            supervisors=supervisors,
            workers=len(children) - supervisors,
        )

    async def get_childspec(self, _: Call, id: str) -> ChildSpec:
        return self._child(id).spec

    async def change_start(self, _: Call, id: str, start: Startable) -> None:
        child = self._child(id)
        child.spec = attrs.evolve(child.spec, start=start)
        child.up_at_once = child.spec.up_at_once
