"""The port: where notifications are kept."""

from collections.abc import Collection
from typing import Protocol

from rookery.notifications.difference import Difference
from rookery.notifications.notification import Existing


class NotificationStore(Protocol):
    """A store that notifies.

    Both operations raise StorageUnavailable, StorageDenied, or NotificationsRefused where the
    store answers that it cannot be as it is asked.
    """

    def read(self, buckets: Collection[str] | None, topics: Collection[str] = ()) -> Existing:
        """Return the notifications of *buckets*, None for all of ours, and the *topics* named."""
        ...

    def write(self, difference: Difference) -> None:
        """Make the changes; what fails in between is mended by applying again."""
        ...
