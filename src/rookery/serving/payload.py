"""What a POST carries: an image, or events. Decided by the content type alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from rookery.errors import BodyTooLarge, RequestInvalid, UnsupportedMedia
from rookery.events.wire import is_event

# curl --data-binary without -H sends the first; a client that says nothing sends the last.
_RAW: Final = frozenset({"application/x-www-form-urlencoded", "application/octet-stream", ""})


@dataclass(frozen=True, slots=True)
class ImagePayload:
    """One encoded image."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EventPayload:
    """CloudEvents in any content mode, or a bare object-created notification, still unparsed."""

    headers: Mapping[str, str]
    body: bytes


def read_payload(request: Request, *, max_bytes: int) -> ImagePayload | EventPayload:
    """Read the body of *request*, at most *max_bytes* of it, and say what it is.

    Raises:
        UnsupportedMedia: the content type is none we take.
        RequestInvalid: a multipart form without exactly one file.
        BodyTooLarge: the body is longer than *max_bytes*.
    """
    headers = dict(request.headers.items())
    media_type = request.mimetype
    if is_event(headers) or media_type == "application/json":
        return EventPayload(headers, _body(request, max_bytes))
    if media_type == "multipart/form-data":
        return ImagePayload(_only_file(request, max_bytes))
    if media_type.startswith("image/") or media_type in _RAW:
        return ImagePayload(_body(request, max_bytes))
    raise UnsupportedMedia(
        f"content type {media_type!r} is not supported; send image/*, application/octet-stream, "
        "multipart/form-data with one file, or a CloudEvent"
    )


def _body(request: Request, max_bytes: int) -> bytes:
    # Where no length is declared, werkzeug cuts a body at its own limit, which is one byte more.
    body = request.get_data(cache=False)
    if len(body) > max_bytes:
        raise BodyTooLarge(max_bytes)
    return body


def _only_file(request: Request, max_bytes: int) -> bytes:
    try:
        files = [file for _, file in request.files.items(multi=True)]
    except RequestEntityTooLarge as exc:
        # Raised for the body's length, and as well for more than a thousand parts.
        if request.content_length is None or request.content_length > max_bytes:
            raise
        raise RequestInvalid(
            "the form has too many parts; send one file, as -F image=@photo.jpg"
        ) from exc
    if len(files) != 1:
        raise RequestInvalid(
            f"the form has {len(files)} files, one is needed; send it as -F image=@photo.jpg"
        )
    data: bytes = files[0].read()
    return data
