"""Random scenarios for a supervisor, in the format of the OTP traces: `scenarios()` draws, `features()` labels.

Only scenarios with exactly one right trace are drawn. What would leave it open is avoided by construction:

- A window is left by 3.3 s or not at all. Scripts that sleep have periods of 1 or 2 s and few short sleeps, so nothing
  happens between `period` and `period + 1`, where OTP's whole seconds decide (D2); no other script lets time pass.
- A path keeps its kind. An id that is added again is a worker if it was one, and an inner supervisor comes back with
  the spec it had: so the path tells which reasons a process can exit with and what a `start_child` takes.
- An id under `simple_one_for_one` is started once: two children could not share the path. And no child there answers
  `ignore` to a restart, after which OTP 25 keeps a ghost and later ones do not (C8).
- A worker that ignores its stop request has a bound.
- Calls wait for a failing start attempt only where nothing but that attempt can be meant: not above an inner supervisor
  that may fail for the sake of a child of its own.
- Restarts end: the lists of failures are finite, and what fails for ever (the bad spec of an inner supervisor that was
  ignored at first) uses up the intensity, since the clock stands still meanwhile.

Steps are drawn as wishes with small numbers in them, which pick from whatever the tree offers. A step dropped from a
failing script, or a child from its tree, leaves a scenario behind that still means something.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

Json = dict[str, Any]
T = TypeVar("T")

KINDS = ("plain", "fail", "during", "many", "time", "stubborn")
DEPTH = 3  # Supervisors above each other, the root included.
SHORT_SLEEPS = 5

REASONS = ["error", "normal", "kill", "shutdown", "shutdown_term"]
NOBODY = "nobody"
TEMPLATE = "template"

# Numbers that pick from whatever there is; the highest ones stand for something out of the ordinary.
_picks = st.integers(0, 23)
ODD = 21


def scenarios(kinds: Sequence[str] = KINDS) -> st.SearchStrategy[Json]:
    """Scenarios of these kinds. Leave out `stubborn`, `many`, ... to leave out what an implementation cannot do."""
    return st.sampled_from(kinds).flatmap(_scenario)


@st.composite
def _scenario(draw: st.DrawFn, kind: str) -> Json:
    book = _Book(draw(_supervisor(kind, DEPTH)), twins=draw(_one_in(60)))
    # A template has no children before somebody starts them.
    wishes = [{**draw(_call(kind, ["start_child"])), "sup": place} for place in book.empty_places()]
    # A window takes some steps to fill and to leave.
    wishes += draw(st.lists(_wish(kind), min_size=4 if kind == "time" else 1, max_size=12 - len(wishes)))
    script = [book.step(wish) for wish in wishes]
    scenario = {"name": "generated", "kind": kind, "tree": book.tree, "script": script}
    return {**scenario, "features": features(scenario)}


def features(scenario: Json) -> list[str]:
    """What an implementation must be able to do to play this scenario."""
    calls = list(_calls(scenario))
    nodes = [scenario["tree"], *_below(scenario["tree"])]
    for call in calls:
        if call["op"] == "start_child":
            nodes += [call["child"], *_below(call["child"])]
    supervisors = [node for node in nodes if "strategy" in node]
    exits = [(call["path"], call["reason"]) for call in calls if call["op"] == "exit"]
    exits += [tuple(one) for call in calls if call["op"] == "exit_many" for one in call["exits"]]
    starts = {outcome for node in nodes for outcome in node.get("start", [])}
    cleanups = {node.get("on_shutdown") for node in nodes}
    ops = {call["op"] for call in calls}
    found = {
        "nested": len(supervisors) > 1,
        "auto_shutdown": any(node["auto_shutdown"] != "never" for node in supervisors),
        "start_fail": "fail" in starts,
        "start_ignore": "ignore" in starts,
        "brutal_kill": any(node.get("shutdown") == "brutal_kill" for node in nodes),
        "crash_in_cleanup": "error" in cleanups,
        "normal_in_cleanup": "normal" in cleanups,
        "kill": any(reason == "kill" for _, reason in exits),
        "many": "exit_many" in ops,
        "during": any("during" in step for step in scenario["script"]),
        "stubborn": "stubborn" in cleanups,
        "time": "sleep" in ops,
        # A label of the whole scenario, which need not have come to use it.
        scenario["kind"]: scenario["kind"] != "plain",
    }
    strategies = {node["strategy"] for node in supervisors}
    return sorted(ops | strategies | {name for name, present in found.items() if present})


def _calls(scenario: Json) -> Iterator[Json]:
    for step in scenario["script"]:
        yield step
        yield from step.get("during", [])


def _below(node: Json) -> Iterator[Json]:
    for child in node.get("children", []):
        yield child
        yield from _below(child)


# Trees. Nodes are drawn without ids, which they get in the order of the tree when it is complete.


def _one_in(n: int) -> st.SearchStrategy[bool]:
    """True once in n; shrinks to False."""
    return st.sampled_from([False] * (n - 1) + [True])


@st.composite
def _outcomes(draw: st.DrawFn, kind: str) -> list[str]:
    """Outcomes of the attempts of one path. The first is seldom `fail`: a tree that does not start tells little."""
    shares = {
        "fail": ["none", "retried", "later"],
        "during": ["none", "retried", "retried", "later"],
        "many": ["none", "none", "retried"],
    }
    match draw(st.sampled_from(shares.get(kind, ["none"] * 6 + ["retried", "later"]))):
        case "none":
            return []
        case "retried":
            return ["ok", *["fail"] * draw(st.integers(1, 3)), *draw(st.sampled_from([[], ["ok", "fail"], ["ignore"]]))]
    first = draw(st.sampled_from(["ok"] * 12 + ["ignore"] * 2 + ["fail"]))
    return [first, *draw(st.lists(st.sampled_from(["ok", "fail", "ignore"]), max_size=4))]


@st.composite
def _worker(draw: st.DrawFn, kind: str) -> Json:
    stubborn = kind == "stubborn" and draw(st.booleans())
    return {
        **draw(_attributes(kind)),
        "shutdown": 20 if stubborn else draw(st.sampled_from([5000, 5000, "infinity", "brutal_kill"])),
        "on_shutdown": "stubborn" if stubborn else draw(st.sampled_from(["ok", "ok", "ok", "normal", "error"])),
    }


@st.composite
def _inner(draw: st.DrawFn, kind: str, depth: int) -> Json:
    return {**draw(_supervisor(kind, depth)), **draw(_attributes(kind)), "shutdown": "infinity"}


@st.composite
def _attributes(draw: st.DrawFn, kind: str) -> Json:
    """What workers and inner supervisors have in common.

    `significant` is a wish until the parent is known, which may not allow it (F1); an `unsound` child insists on it.
    """
    return {
        "restart": draw(st.sampled_from(["permanent", "transient", "temporary"])),
        "significant": draw(st.booleans()),
        "unsound": draw(_one_in(150)),
        "start": draw(_outcomes(kind)),
    }


@st.composite
def _supervisor(draw: st.DrawFn, kind: str, depth: int) -> Json:
    """A supervisor without the attributes of a child. `depth` counts the levels there may be, this one included."""
    timed = kind == "time"
    grouped = ["one_for_one", "rest_for_one", "one_for_all"]
    strategy = draw(st.sampled_from([*grouped, *grouped, "simple_one_for_one"]))
    simple = strategy == "simple_one_for_one"
    auto_shutdown = st.sampled_from(["never", "never", "any_significant", "all_significant"])
    node = {
        "strategy": strategy,
        "intensity": draw(st.sampled_from([1, 1, 2] if timed else [3, 1, 2, 0, 5, 10])),
        "period": draw(st.sampled_from([1, 2])) if timed else 1000,
        "auto_shutdown": "never" if simple else draw(auto_shutdown),
    }
    if simple:  # One template, whose outcomes are given with each child (C8).
        return {**node, "children": [{**draw(_worker(kind)), "start": []}]}
    least = 0 if draw(_one_in(20)) else 2 if kind == "many" else 1
    return {**node, "children": draw(st.lists(_child(kind, depth), min_size=least, max_size=4))}


@st.composite
def _child(draw: st.DrawFn, kind: str, depth: int) -> Json:
    return draw(_inner(kind, depth - 1) if depth > 1 and draw(_one_in(3)) else _worker(kind))


# Scripts.


@st.composite
def _wish(draw: st.DrawFn, kind: str) -> Json:
    """A step that says what shall be done, but to whom only by numbers."""
    common = ["exit"] * 8 + ["start_child"] * 4 + ["terminate_child", "restart_child", "delete_child"] * 2
    special = {"many": ["exit_many"] * 9, "time": ["exit", "sleep"] * 18, "during": ["exit"] * 6}.get(kind, [])
    op = draw(st.sampled_from(common + special + ["which", "count", "exit_supervisor", "exit_supervisor", "stop"]))
    match op:
        case "exit":
            wish = {"op": op, "who": draw(_picks), "reason": draw(st.sampled_from(["error", "error", *REASONS]))}
            if kind == "during":
                ops = ["terminate_child", "restart_child", "delete_child", "start_child", "start_child", "count"]
                wish["during"] = draw(st.lists(_call(kind, ops), min_size=1, max_size=3))
            return wish
        case "exit_supervisor":
            return {"op": op, "who": draw(_picks), "reason": draw(st.sampled_from(["error", "shutdown", "normal"]))}
        case "exit_many":
            exits = st.tuples(_picks, st.sampled_from(["error", *REASONS]))
            return {"op": op, "sup": draw(_picks), "exits": draw(st.lists(exits, min_size=2, max_size=4))}
        case "sleep":
            return {"op": op, "s": draw(st.sampled_from([3.3, 0.1]))}
        case "stop":
            return {"op": op}
    return {**draw(_call(kind, [op])), "sup": draw(_picks)}


@st.composite
def _call(draw: st.DrawFn, kind: str, ops: Sequence[str]) -> Json:
    call: Json = {"op": draw(st.sampled_from(ops))}
    if call["op"] == "start_child":
        # What is made of these, and whether the id is one that was there before, depends on the supervisor.
        call["node"] = {**draw(_child(kind, 2)), "unsound": draw(_one_in(8))}
        if draw(_one_in(8)):
            call["node"]["start"] = [draw(st.sampled_from(["fail", "ignore"])), *call["node"]["start"]]
        call["again"] = draw(_one_in(3))
    if call["op"] not in ("which", "count"):
        call["id"] = draw(_picks)
    return call


class _Book:
    """All nodes of a scenario by path: those of the tree first, then those its script adds. Turns wishes into steps."""

    def __init__(self, tree: Json, *, twins: bool) -> None:
        self.nodes: dict[str, Json] = {}
        self.may_fail: set[str] = set()  # Kept for good: a spec added later need not replace the one before.
        # Guesses, to spend few steps on what cannot happen: who has no process, and the outcomes still to come.
        self.idle: set[str] = set()
        self.outcomes: dict[str, list[str]] = {}
        self.ids = 0
        self.short_sleeps = 0
        self.tree = self.enter("root", {"id": "root", **tree})
        if twins and len(self.tree["children"]) > 1:
            self.tree["children"][-1]["id"] = self.tree["children"][0]["id"]  # A5

    def fresh(self) -> str:
        self.ids += 1
        return f"c{self.ids}"

    def enter(self, path: str, node: Json) -> Json:
        """Note the node and all below it, and give them what they could not have before: ids, a valid `significant`."""
        node = self.nodes[path] = dict(node)
        self.idle.discard(path)
        if "fail" in node.get("start", []):
            self.may_fail.add(path)
        self.outcomes[path] = [*node.get("start", []), "ok"]
        if self.outcomes[path].pop(0) != "ok":
            self.idle.add(path)
        if "unsound" in node:
            unsound = node.pop("unsound")
            above = self.nodes[_parent(path)]["auto_shutdown"]
            allowed = node["restart"] != "permanent" and above != "never"
            node["significant"] = node["significant"] if allowed else unsound
            if node["significant"] and not allowed:
                self.may_fail.add(path)
        if "children" in node:
            simple = node["strategy"] == "simple_one_for_one"
            named = [{"id": TEMPLATE if simple else self.fresh(), **child} for child in node["children"]]
            node["children"] = [self.enter(f"{path}/{child['id']}", child) for child in named]
        return node

    # What there is to pick from

    def supervisors(self) -> list[str]:
        return [path for path, node in self.nodes.items() if "strategy" in node]

    def empty_places(self) -> list[int]:
        """Numbers that pick the supervisors which have a template, each one twice."""
        nodes = [self.nodes[path] for path in self.supervisors()]
        return [i for i, node in enumerate(nodes) if node["strategy"] == "simple_one_for_one"][:4] * 2

    def workers(self) -> list[str]:
        return [path for path, node in self.nodes.items() if "strategy" not in node and node["id"] != TEMPLATE]

    def busy(self, paths: list[str]) -> list[str]:
        return [path for path in paths if not any(f"{path}/".startswith(f"{gone}/") for gone in self.idle)] or paths

    def ids_under(self, supervisor: str, *, idle_first: bool) -> list[str]:
        known = [path for path, node in self.nodes.items() if _parent(path) == supervisor and node["id"] != TEMPLATE]
        idle = [path for path in known if path in self.idle]
        return [path.rpartition("/")[2] for path in (idle_first and idle) or known]

    # Wishes to steps

    def step(self, wish: Json) -> Json:
        match wish["op"]:
            case "exit":
                return self.exit(wish)
            case "exit_supervisor":
                inner = self.supervisors()[1:]
                odd = wish["who"] >= ODD or not inner  # The end of the root is that of the script.
                return {"op": "exit", "path": "root" if odd else _pick(inner, wish["who"]), "reason": wish["reason"]}
            case "exit_many":
                return self.exit_many(wish)
            case "sleep":
                self.short_sleeps += wish["s"] < 1
                return {"op": "sleep", "s": wish["s"] if self.short_sleeps <= SHORT_SLEEPS else 3.3}
            case "stop":
                return wish
        places = self.supervisors()
        if wish["sup"] >= ODD and wish["op"] != "start_child":
            places = self.workers() or places  # A worker answers no calls.
        elif wish["op"] in ("restart_child", "delete_child"):
            places = [place for place in places if any(_parent(gone) == place for gone in self.idle)] or places
        place = _pick(places, wish["sup"])
        return {**self.call(wish, place), "sup": place}

    def exit(self, wish: Json) -> Json:
        paths = self.busy(self.workers())
        if wish["who"] >= ODD or not paths:
            return {"op": "exit", "path": f"root/{NOBODY}", "reason": wish["reason"]}
        # Calls that wait for a failing restart are given to a child that is about to have one.
        failing = [path for path in paths if self.will_fail(path)] if "during" in wish else []
        path = _pick(failing or paths, wish["who"])
        step = {"op": "exit", "path": path, "reason": wish["reason"]}
        if failing:
            step["reason"] = wish["reason"] if self.restart_type(path) == "permanent" else "error"
            step["during"] = [self.call(call, _parent(path), self.nodes[path]["id"]) for call in wish["during"]]
        self.exited(path, step["reason"])
        return step

    def will_fail(self, path: str) -> bool:
        restarted = self.restart_type(path) != "temporary" and path not in self.idle
        return restarted and self.outcomes[path][:1] == ["fail"] and self.first_failure_is_plain(_parent(path))

    def exited(self, path: str, reason: str) -> None:
        restart = self.restart_type(path)
        if restart == "temporary" or (restart == "transient" and reason not in ("error", "kill")):
            self.idle.add(path)
        else:
            left = self.outcomes[path]
            self.outcomes[path] = left[left.index("ok") + 1 :] if "ok" in left else []

    def restart_type(self, path: str) -> str:
        node = self.nodes[path]
        return str(node["restart"] if "restart" in node else self.nodes[f"{_parent(path)}/{TEMPLATE}"]["restart"])

    def first_failure_is_plain(self, supervisor: str) -> bool:
        inner = [path for path in self.supervisors() if _parent(path) == supervisor]
        return not any(path.startswith(f"{top}/") for path in self.may_fail for top in inner)

    def exit_many(self, wish: Json) -> Json:
        crews = [self.busy([path for path in self.workers() if _parent(path) == top]) for top in self.supervisors()]
        crews = [crew for crew in crews if len(crew) > 1]
        if not crews:
            return self.exit({"who": wish["sup"], "reason": wish["exits"][0][1]})
        crew = _pick(crews, wish["sup"])
        exits = {_pick(crew, who): reason for who, reason in wish["exits"]}
        for path, reason in exits.items():
            self.exited(path, reason)
        return {"op": "exit_many", "exits": [[path, reason] for path, reason in exits.items()]}

    def call(self, wish: Json, place: str, failing: str = NOBODY) -> Json:
        """The call at this place; every other one without more ado for the child that is just failing."""
        if wish["op"] == "start_child":
            return {"op": "start_child", "child": self.child(wish, place)}
        if "id" not in wish:
            return {"op": wish["op"]}
        ids = self.ids_under(place, idle_first=wish["op"] != "terminate_child" and wish["id"] % 3 > 0)
        name = NOBODY if wish["id"] >= ODD or not ids else _pick(ids, wish["id"])
        if failing != NOBODY and wish["id"] % 2 == 0:
            name = failing
        if wish["op"] == "terminate_child":
            self.idle.add(f"{place}/{name}")
        elif wish["op"] == "restart_child":
            self.idle.discard(f"{place}/{name}")
        return {"op": wish["op"], "id": name}

    def child(self, wish: Json, place: str) -> Json:
        node, ids = wish["node"], self.ids_under(place, idle_first=wish["id"] % 3 > 0)
        if self.nodes[place]["strategy"] == "simple_one_for_one":
            name = self.fresh()
            return self.enter(f"{place}/{name}", {"id": name, "start": _dynamic(node["start"])})
        name = _pick(ids, wish["id"]) if wish["again"] and ids else self.fresh()
        path = f"{place}/{name}"
        before = self.nodes.get(path, {})
        if "strategy" in before:
            return before
        if "strategy" in node and (before or path.count("/") >= DEPTH):
            # A worker has to stand here; the supervisor's attributes will do for one.
            attributes = {key: node[key] for key in ("restart", "significant", "unsound", "start")}
            node = {**attributes, "shutdown": 5000, "on_shutdown": "ok"}
        return self.enter(path, {"id": name, **node})


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _pick(options: Sequence[T], number: int) -> T:
    return options[number % len(options)]


def _dynamic(outcomes: list[str]) -> list[str]:
    """For the child of a template: `ignore` may answer the first start, and then there is no second."""
    return outcomes[:1] if outcomes[:1] == ["ignore"] else [outcome for outcome in outcomes if outcome != "ignore"]
