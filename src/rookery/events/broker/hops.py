"""The hop limit that ends reply loops: Knative's `knativebrokerttl` extension.

As in Knative's broker: an event enters with 255, or with one less than it carries; at 0 it is
dropped; subscribers never see the extension, and a reply continues the count of its cause.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rookery.events.wire import CloudEvent

EXTENSION: Final = "knativebrokerttl"
FIRST: Final = 255


def enter(event: CloudEvent) -> CloudEvent | None:
    """Return *event* as it is journalled, or None when its hops are used up."""
    left = _left(event.extensions)
    left = FIRST if left is None else left - 1
    return _with(event, left) if left > 0 else None


def enter_reply(reply: CloudEvent, cause: CloudEvent) -> CloudEvent | None:
    """Return *reply* as it is journalled: one hop after its *cause*, or None."""
    left = _left(cause.extensions)
    return enter(_with(reply, FIRST if left is None else left))


def leave(event: CloudEvent) -> CloudEvent:
    """Return *event* as subscribers and readers see it, without the extension."""
    rest = {name: value for name, value in event.extensions.items() if name != EXTENSION}
    return replace(event, extensions=rest)


def _left(extensions: Mapping[str, str]) -> int | None:
    try:
        return min(int(extensions[EXTENSION]), FIRST)
    except (KeyError, ValueError):
        return None


def _with(event: CloudEvent, left: int) -> CloudEvent:
    return replace(event, extensions={**event.extensions, EXTENSION: str(left)})
