"""What makes an agent of `home.toml` crash: it is killed from outside, wherever it is."""

from __future__ import annotations

from anima.actors import Actor, message, receive
from anima_supervisors import ChildNotFound
from anima_supervisors.testing import kill


@message
class Strike:
    """It is time."""


class Fate(Actor[Strike]):
    """Kills one child of the root again and again."""

    def __init__(self, victim: str, every: float) -> None:
        self._victim = victim
        self._every = every

    async def started(self) -> None:
        self.every(self._every, Strike())

    @receive
    async def strike(self, strike: Strike) -> None:
        try:
            kill(self.system.supervisor, self._victim)
        except ChildNotFound:
            return  # it is not back yet
