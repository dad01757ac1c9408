"""What can go wrong at the hub.

HubError
├── BadTopic            the name of a topic, or a pattern, that is none
├── AlreadySubscribed   an address listens to a pattern once
├── NameTaken           a name belongs to one living actor
├── NameUnknown         nobody has taken a name in time
└── NoProvider          nobody that lives can do what is asked for
"""

from __future__ import annotations

from anima.actors import ActorError


class HubError(ActorError):
    """The base of what the hub raises."""


class BadTopic(HubError, ValueError):
    """Topics are words joined by dots; in patterns `*` stands for one word, `**` at the end for one or more."""


class AlreadySubscribed(HubError):
    """The address listens to this very pattern already."""

    def __init__(self, path: str, pattern: str) -> None:
        super().__init__(f"{path} is subscribed to {pattern!r} already")


class NameTaken(HubError):
    """Another living actor has this name."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(f"the name {name!r} belongs to {path}")
        self.name = name


class NameUnknown(HubError):
    """Nobody has taken the name in time."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(f"nobody has taken the name {name!r} within {seconds:g} s")
        self.name = name


class NoProvider(HubError):
    """Nobody that lives offers the capability, as it was asked for, and accepts the request."""

    def __init__(self, capability: str, why: str) -> None:
        super().__init__(f"nobody can be asked to {capability!r}: {why}")
        self.capability = capability
