"""The hub: how actors find each other without knowing addresses.

- `_names`: one living actor for each name
- `_patterns`, `_topics`: publish and subscribe, by exact name and by pattern
- `_offers`, `_capabilities`: who can do what
- `_hub`: what users hold of all three; start with `Hub.of(system)`
"""

from ._capabilities import Came, Capability, Offer, Went
from ._errors import AlreadySubscribed, BadTopic, HubError, NameTaken, NameUnknown, NoProvider
from ._events import SubscriberSlow, hub_events
from ._hub import Hub
from ._topics import Listens, Slow, Subscription, SubscriptionStatistics

__all__ = [
    "AlreadySubscribed",
    "BadTopic",
    "Came",
    "Capability",
    "Hub",
    "HubError",
    "Listens",
    "NameTaken",
    "NameUnknown",
    "NoProvider",
    "Offer",
    "Slow",
    "SubscriberSlow",
    "Subscription",
    "SubscriptionStatistics",
    "Went",
    "hub_events",
]
