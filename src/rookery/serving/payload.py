"""What a POST carries: an image, or events. Decided by the content type alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask import Request

from rookery.errors import RequestInvalid, UnsupportedMedia
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


def read_payload(request: Request) -> ImagePayload | EventPayload:
    """Read the body of *request* and say what it is.

    Raises:
        UnsupportedMedia: the content type is none we take.
        RequestInvalid: a multipart form without exactly one file.
        RequestEntityTooLarge: the body is longer than the application's limit.
    """
    headers = dict(request.headers.items())
    media_type = request.mimetype
    if is_event(headers) or media_type == "application/json":
        return EventPayload(headers, request.get_data(cache=False))
    if media_type == "multipart/form-data":
        return ImagePayload(_only_file(request))
    if media_type.startswith("image/") or media_type in _RAW:
        return ImagePayload(request.get_data(cache=False, parse_form_data=False))
    raise UnsupportedMedia(
        f"content type {media_type!r} is not supported; send image/*, application/octet-stream, "
        "multipart/form-data with one file, or a CloudEvent"
    )


def _only_file(request: Request) -> bytes:
    files = [file for _, file in request.files.items(multi=True)]
    if len(files) != 1:
        raise RequestInvalid(
            f"the form has {len(files)} files, one is needed; send it as -F image=@photo.jpg"
        )
    data: bytes = files[0].read()
    return data
