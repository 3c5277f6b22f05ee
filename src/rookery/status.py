"""One table: what an error means to whoever sent the request.

Knative retries 404, 408, 409, 429, every 5xx and connection errors; every other 4xx is final and
goes to the dead-letter sink (knative/specs, eventing data plane). So what is final here is never
404 or 501, and what may succeed later is 429 or 5xx.
"""

import json
import math
from http import HTTPStatus
from typing import Final

from rookery.errors import (
    BackendFailed,
    BodyTooLarge,
    DeliveryRejected,
    EventForbidden,
    EventInvalid,
    EventTooLarge,
    FormatNotAllowed,
    HeadersTooLarge,
    ObjectGone,
    Overloaded,
    Rejected,
    RequestInvalid,
    RequestTooSlow,
    RookeryError,
    TokenRefused,
    Unavailable,
    UnsupportedMedia,
)

# The first entry that an error is an instance of decides.
STATUS_TABLE: Final[tuple[tuple[type[RookeryError], HTTPStatus], ...]] = (
    (EventInvalid, HTTPStatus.BAD_REQUEST),
    (RequestInvalid, HTTPStatus.BAD_REQUEST),
    (TokenRefused, HTTPStatus.UNAUTHORIZED),
    (EventForbidden, HTTPStatus.FORBIDDEN),
    (ObjectGone, HTTPStatus.GONE),
    (HeadersTooLarge, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    (BodyTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (EventTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnsupportedMedia, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (FormatNotAllowed, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (DeliveryRejected, HTTPStatus.FAILED_DEPENDENCY),
    (Rejected, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Overloaded, HTTPStatus.TOO_MANY_REQUESTS),
    (RequestTooSlow, HTTPStatus.REQUEST_TIMEOUT),
    (BackendFailed, HTTPStatus.INTERNAL_SERVER_ERROR),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (RookeryError, HTTPStatus.INTERNAL_SERVER_ERROR),
)

# Knative copies at most this many bytes of the body to the dead letter.
BODY_LIMIT: Final = 1024


def status_of(error: RookeryError) -> HTTPStatus:
    """Return the HTTP status that makes a broker do what *error* calls for."""
    return next(status for kind, status in STATUS_TABLE if isinstance(error, kind))


def body_of(error: RookeryError) -> dict[str, str]:
    """Return the JSON error body, short enough to reach a dead letter whole."""
    return bounded_body(error.code, str(error))


def bounded_body(code: str, message: str) -> dict[str, str]:
    """Return the JSON error body for *code*, *message* cut so that all of it fits BODY_LIMIT."""
    body = {"error": code, "message": message}
    # Measured as it is sent: one character becomes up to twelve bytes of JSON.
    while len(json.dumps(body)) >= BODY_LIMIT:
        message = message[: len(message) * 3 // 4].rstrip()
        body["message"] = message + "…"
    return body


def headers_of(error: RookeryError) -> dict[str, str]:
    """Return `Retry-After` in whole seconds where a retry makes sense, and what 401 must say."""
    if isinstance(error, TokenRefused):
        return {"WWW-Authenticate": 'Bearer realm="rookery"'}  # RFC 6750, section 3
    if isinstance(error, (Unavailable, Overloaded)):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    return {}
