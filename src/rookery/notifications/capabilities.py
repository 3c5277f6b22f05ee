"""What each release of Ceph, and AWS, can do with notifications: the one table.

16.2.15 was measured; the others are from Ceph's documentation and source, and AWS's documentation.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

# A limit on retries is what nothing but its echo tells from an attribute that is not understood.
LIMITS: Final = ("time_to_live", "max_retries", "retry_sleep_duration")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one kind of store does. None is: it does not tell.

    Attributes:
        store: its name in messages.
        push: it pushes to endpoints of its topics, as Ceph does; without it, it sends to queues
            and EventBridge, as AWS does.
        cloudevents: a topic's `cloudevents` has an effect.
        limits: a topic may limit the retries of its queue.
        fragile_deletes: it aborts when one request deletes several objects and removals notify.
    """

    store: str
    push: bool
    cloudevents: bool | None = None
    limits: bool | None = None
    fragile_deletes: bool = False


AWS: Final = Capabilities("AWS", push=False, cloudevents=False, limits=False)
SQUID: Final = Capabilities("Ceph 19 (squid)", push=True, cloudevents=True, limits=True)
# By the name in the header `Server`, which 18 was the first to send.
RELEASES: Final = {
    "pacific": Capabilities(
        "Ceph 16 (pacific)", push=True, cloudevents=False, limits=False, fragile_deletes=True
    ),
    "quincy": Capabilities("Ceph 17 (quincy)", push=True, cloudevents=True, limits=False),
    "reef": Capabilities("Ceph 18 (reef)", push=True, cloudevents=True, limits=False),
    "squid": SQUID,
    "tentacle": Capabilities("Ceph 20 (tentacle)", push=True, cloudevents=True, limits=True),
}
# No header: 16, 17, or one that an operator told to say something else.
UNKNOWN: Final = Capabilities("Ceph", push=True, fragile_deletes=True)
# No header, and topics that show no limits.
OLD: Final = Capabilities(
    "Ceph 16 or 17", push=True, cloudevents=None, limits=False, fragile_deletes=True
)

_SERVER: Final = re.compile(r"Ceph Object Gateway \((\w+)\)")


def of_ceph(server: str | None, topics: Iterable[Mapping[str, object]]) -> Capabilities:
    """Tell the release.

    Args:
        server: the header `Server` of an answer, if it had one.
        topics: the `EndPoint` of each topic that was read, parsed.
    """
    found = _SERVER.search(server or "")
    if found is not None and found[1] in RELEASES:
        return RELEASES[found[1]]
    if found is not None:
        # Younger than this table: assume what the youngest release in it can do.
        return Capabilities(f"Ceph ({found[1]})", push=True, cloudevents=True, limits=True)
    shown = list(topics)
    if not shown:
        return UNKNOWN
    if any("TimeToLive" in topic for topic in shown):
        return Capabilities("Ceph 19 or newer", push=True, cloudevents=True, limits=True)
    return OLD
