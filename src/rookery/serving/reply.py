"""Result events and errors as HTTP answers: what a broker takes and curl shows as JSON."""

import json
from collections.abc import Sequence
from http import HTTPStatus

from flask import Response

from rookery.errors import RookeryError
from rookery.events.wire import CloudEvent, to_batch, to_binary
from rookery.status import body_of, headers_of, status_of


def to_response(events: Sequence[CloudEvent]) -> Response:
    """Answer with *events*.

    None is 202 and empty, never 200 with a body: Knative takes a 2xx body that is no event for
    an error. One is binary mode, whose body is the plain JSON result. Several are a batch, which
    the embedded broker takes; a Knative broker cannot, so behind one a sink must be set.
    """
    if not events:
        return Response(status=HTTPStatus.ACCEPTED)
    headers, body = to_binary(events[0]) if len(events) == 1 else to_batch(events)
    return Response(body, HTTPStatus.OK, headers)


def to_refusal(error: RookeryError) -> Response:
    """Answer with what the status table makes of *error*; needs no application around it."""
    return Response(
        json.dumps(body_of(error)),
        status_of(error),
        headers_of(error),
        content_type="application/json",
    )
