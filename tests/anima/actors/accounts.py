"""What has to hold after every program of actors: each message accounted for once, each wait over, nothing left."""

from __future__ import annotations

from anima.actors import DeadLetter, Reason, Receiver, Stop
from tests.anima.actors.players import Do, Handling, Sent, World

#: The errors by which a sender is told that its message was not taken, or what became of it.
DOCUMENTED = {
    "tell": {"MailboxFull", "TooManyHops"},
    "put": {"ActorStopped", "AskCircle", "TooManyHops", "cancelled"},
    "ask": {"AskTimeout", "AskFailed", "ActorStopped", "AskCircle", "Refused", "TooManyHops", "cancelled"},
    "after": set[str](),
}


def check(world: World) -> None:
    """Assert what holds after every program, when the system was left."""
    assert not world.wrong, world.wrong
    handlings: dict[int, list[Handling]] = {}
    for one in world.handlings:
        handlings.setdefault(one.id, []).append(one)
    letters: dict[int, list[DeadLetter]] = {}
    for letter in list(world.system.dead_letters):
        if isinstance(letter.message, Do):
            letters.setdefault(letter.message.id, []).append(letter)
        else:
            assert (letter.message, letter.reason) == (Stop(), Reason.NO_ACTOR), letter
            world.stops_for_nobody -= 1
    assert world.stops_for_nobody == 0
    for sent in world.sent.values():
        check_message(sent, handlings.get(sent.id, []), letters.get(sent.id, []))
    check_order(world)
    check_redeliveries(world)
    check_nothing_left(world)


def check_message(sent: Sent, handlings: list[Handling], letters: list[DeadLetter]) -> None:
    what = f"{sent}\n{handlings}\n{letters}"
    refused = sum(one.outcome == "refused" for one in handlings) if sent.how == "ask" else 0
    ends = sum(one.outcome == "done" for one in handlings) + refused + len(letters)
    last = handlings[-1] if handlings else None
    assert sent.outcome is not None, f"the sender still waits: {what}"
    assert sent.outcome == "accepted" or sent.outcome in DOCUMENTED[sent.how], f"no documented error: {what}"
    if told_that_unsent(sent):
        assert not handlings, f"handled, though the sender was told that it was not sent: {what}"
        assert not letters, f"a dead letter, though the sender was told that it was not sent: {what}"
        return
    assert ends <= 1, f"accounted for {ends} times: {what}"
    nobody_waits = sent.how == "ask" and sent.outcome in ("AskTimeout", "cancelled")
    if ends == 0:
        cut_short = nobody_waits and last is not None and last.outcome in ("cut", "cut or raised")
        unsent = sent.how == "ask" and (sent.outcome == "AskCircle" or not sent.sure) and last is None
        early = sent.how == "after" and sent.incarnation_ended <= sent.at and last is None
        assert cut_short or unsent or early, f"lost: {what}"
    check_sender(sent, handlings, letters, what)
    for letter in letters:
        check_letter(sent, handlings, letter, what)
    tries = [one for one in handlings if one.outcome != "stashed"]
    assert all(len(tries) <= one.attempts for one in tries), f"begun {len(tries)} times: {what}"
    for one in handlings:
        same_pool = sent.pool and one.path.startswith(sent.to + "/")
        moved = one.path.rpartition("/")[0] == sent.to.rpartition("/")[0]
        assert one.path == sent.to or same_pool or moved, f"handled at another address: {what}"
        assert one.begun <= sent.ended or sent.how != "ask", f"begun when nobody waited any more: {what}"
        if one.detach and one.outcome == "cut":
            assert one.ended >= one.incarnation_ended, f"detached, and cut short: {what}"
        if sent.how == "ask" and not one.detach and not one.deaf:
            assert one.ended <= sent.ended, f"goes on when nobody waits any more: {what}"


def told_that_unsent(sent: Sent) -> bool:
    match sent.how:
        case "put":
            return sent.outcome in ("cancelled", "ActorStopped", "AskCircle")
        case "ask":  # a pool may move it to a member that waits for the asker
            return sent.outcome == "AskCircle" and not (sent.pool or sent.to != sent.address)
    return sent.outcome == "MailboxFull"


def check_sender(sent: Sent, handlings: list[Handling], letters: list[DeadLetter], what: str) -> None:
    """What the sender was told is what has happened."""
    last = handlings[-1].outcome if handlings else None
    reasons = {letter.reason for letter in letters}
    if sent.outcome == "TooManyHops":
        assert not handlings, what
        assert reasons == {Reason.TOO_MANY_HOPS}, what
    if sent.how != "ask":
        return
    assert sent.ended <= max(sent.deadline, sent.at), f"waited beyond the deadline: {what}"
    if sent.actor == sent.to:
        assert sent.outcome not in ("accepted", "AskTimeout", "Refused"), f"waits for itself: {what}"
    match sent.outcome:
        case "accepted":
            assert last == "done", f"answered, and not handled to the end: {what}"
        case "Refused":
            assert last == "refused", what
        case "AskTimeout":
            assert sent.ended == max(sent.deadline, sent.at), f"gave up too early: {what}"
        case "AskFailed":
            assert sent.error is not None
            assert sent.error.__cause__ is not None, what
            assert reasons, what
            assert reasons <= {Reason.DROPPED, Reason.QUARANTINED}, what
        case "ActorStopped":
            assert reasons <= {Reason.LEFT_OVER, Reason.INTERRUPTED}, what
            assert reasons or not sent.sure, what


def check_letter(sent: Sent, handlings: list[Handling], letter: DeadLetter, what: str) -> None:
    last = handlings[-1].outcome if handlings else None
    attempts = [one for one in handlings if one.outcome != "stashed"]
    assert letter.to == sent.address, what
    assert letter.sender == sent.actor, what
    assert letter.attempts == len(attempts), f"begun {len(attempts)} times: {what}"
    match letter.reason:
        case Reason.NO_ACTOR | Reason.TOO_MANY_HOPS:
            assert last is None, what
        case Reason.EXPIRED:
            assert sent.how == "ask", what
            assert sent.outcome in ("AskTimeout", "cancelled", "AskCircle"), what
        case Reason.QUARANTINED:
            assert last in ("raised", "cut or raised"), what
        case Reason.INTERRUPTED:
            assert last in ("cut", "cut or raised"), what
        case Reason.REFUSED:
            assert (last, sent.how == "ask") == ("refused", False), what


def check_order(world: World) -> None:
    """Of one sender to one actor: what was sent first is begun first."""
    last: dict[tuple[str, str], int] = {}
    seen = set()
    for one in world.handlings:
        sent = world.sent[one.id]
        if one.id in seen or sent.pool or one.path != sent.to:
            continue
        seen.add(one.id)
        before = last.get((sent.sender, sent.to), 0)
        assert before < one.id, f"{sent} was begun after {world.sent[before]}"
        last[sent.sender, sent.to] = one.id


def check_redeliveries(world: World) -> None:
    """What is tried again comes before all that has not been tried yet."""
    tried: dict[int, int] = {}
    first: dict[str, int] = {}  # where the latest message that was new to an address stands
    for n, one in enumerate(world.handlings):
        before = world.handlings[tried[one.id]] if one.id in tried else None
        if before is None:
            first[one.path] = n
        elif before.path == one.path and before.outcome != "stashed":
            assert first[one.path] <= tried[one.id], f"{world.handlings[first[one.path]]} came before {one}"
        tried[one.id] = n


def check_nothing_left(world: World) -> None:
    system = world.system
    assert system.actors() == ()
    assert system.loops == {}
    assert [due for _, _, due in system.timers._heap if not due.over] == []
    assert system.timers._young == {}
    for place in world.places:
        assert place.ended
        if isinstance(place, Receiver):
            assert not place.waits_for, f"{place} waits for {place.waits_for}"
            assert len(place.mailbox) == 0
            assert not place.mailbox.putting
            assert not getattr(place, "stash", None)
    assert sum(system.dead_letters.counts.values()) == len(list(world.system.dead_letters))
