"""The dead letter: the event itself, with Knative's error extensions added."""

import base64
from dataclasses import replace
from typing import Final

from rookery.events.wire import CloudEvent

# Knative allows 1,024 characters of base64; 768 bytes fill them and stay decodable.
DATA_BYTES: Final = 768


def dead_letter(event: CloudEvent, *, destination: str, code: int, data: bytes) -> CloudEvent:
    """Return *event* as the dead letter sink gets it.

    Args:
        event: as the subscriber got it.
        destination: the subscriber that did not take it: `knativeerrordest`.
        code: its HTTP status: `knativeerrorcode`.
        data: what it said, cut to 768 bytes and put into base64: `knativeerrordata`.
    """
    errors = {
        "knativeerrordest": destination,
        "knativeerrorcode": str(code),
        "knativeerrordata": base64.b64encode(data[:DATA_BYTES]).decode(),
    }
    return replace(event, extensions={**event.extensions, **errors})
