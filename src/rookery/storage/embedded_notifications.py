"""moto's way from an upload to the queue, corrected for use as a server.

moto 5 announces a completed multipart upload twice, as Put too, where AWS says
CompleteMultipartUpload alone; it drops a notification that fails without a word; and for each one
it counts the whole queue eight times, which makes an upload slower by 50 µs per waiting message.
Handing a message out, it counts the queue nine times more to learn how long messages are kept, and
lists its own methods anew for every request: 1 ms of CPU before the source hears of an upload.
"""

import json
import time
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Final

_CORRECTED: Final = "corrected_by_rookery"


def correct_notifications() -> None:
    """Replace the four functions in moto, once per process; only the embedded server does."""
    from moto.core import responses  # noqa: PLC0415
    from moto.s3 import notifications  # noqa: PLC0415
    from moto.sqs.models import Message, SQSBackend, sqs_backends  # noqa: PLC0415

    if hasattr(notifications, _CORRECTED):
        return
    send = notifications.send_event
    put = notifications.S3NotificationEvent.OBJECT_CREATED_PUT_EVENT

    def send_event(account_id: str, event_name: object, bucket: object, key: object) -> None:
        if event_name is not put or getattr(key, "multipart", None) is None:
            send(account_id, event_name, bucket, key)

    def send_sqs_message(
        account_id: str, event_body: Mapping[str, object], queue_name: str, region_name: str
    ) -> None:
        queue = sqs_backends[account_id][region_name].queues.get(queue_name)
        if queue is None:
            return  # deleted since; AWS drops the notification too
        message = Message(str(uuid.uuid4()), json.dumps(event_body))
        message.mark_sent(delay_seconds=queue.delay_seconds)
        queue.add_message(message)

    def still_kept(backend: SQSBackend, queue_name: str, message: Message) -> bool:
        seconds = backend.get_queue(queue_name).message_retention_period
        return bool(message.sent_timestamp / 1000 + seconds > time.time())

    notifications.send_event = send_event
    SQSBackend.is_message_valid_based_on_retention_period = still_kept
    responses.method_names_from_class = cache(responses.method_names_from_class)
    notifications._send_sqs_message = send_sqs_message  # noqa: SLF001
    setattr(notifications, _CORRECTED, True)
