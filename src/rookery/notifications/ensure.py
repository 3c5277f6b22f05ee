"""One notification made sure of, for what sets up its own bucket."""

from rookery.notifications.ceph import CephNotifications
from rookery.notifications.connection import Connection
from rookery.notifications.difference import to_apply
from rookery.notifications.endpoint import Endpoint
from rookery.notifications.notification import Notification, Target, Topic, Wanted
from rookery.notifications.wording import difference_lines

CREATED = ("s3:ObjectCreated:*",)


def ensure(
    connection: Connection, bucket: str, *, name: str, endpoint: str, persistent: bool = True
) -> tuple[str, ...]:
    """Have Ceph push every object created in *bucket* to *endpoint*, an HTTP URL.

    Returns what was changed, in words; nothing where it was so already. Other notifications of
    the bucket stay.

    Raises:
        NotificationsRefused: there is no such bucket, or Ceph takes no such endpoint.
        StorageUnavailable, StorageDenied: it cannot be asked.
    """
    topic = Topic(name, Endpoint(endpoint), persistent=persistent)
    wanted = Wanted((Notification(bucket, name, Target("topic", name), CREATED),), (topic,))
    store = CephNotifications(connection)
    difference = to_apply(wanted, store.read(wanted.buckets, (name,)))
    if not difference.is_empty:
        store.write(difference)
    return tuple(difference_lines(difference))
