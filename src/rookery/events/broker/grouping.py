"""What waits in a queue, taken out as one group: the next piece of a group commit."""

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import queue

Item = TypeVar("Item")

_LARGEST_GROUP: Final = 256


def next_group(waiting: "queue.SimpleQueue[Item | None]") -> list[Item]:
    """Wait for an item; return it with what else is there by then, up to a bound.

    None marks the end: the group is empty when nothing came before it.
    """
    group: list[Item] = []
    item = waiting.get()
    while item is not None:
        group.append(item)
        if len(group) == _LARGEST_GROUP or waiting.empty():
            return group
        item = waiting.get_nowait()
    if group:
        waiting.put(None)  # the end is for the next round
    return group
