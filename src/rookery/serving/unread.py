"""What is left of a body that was refused unread, under a server that is not ours.

gunicorn closes the connection after such an answer, which resets it while the client still sends,
and the client never learns why. Our own server has read every body before the application runs.
"""

from contextlib import suppress
from typing import Final, Protocol

_CHUNK_BYTES: Final = 64 * 1024
_MAX_BYTES: Final = 64 * 1024 * 1024


class Readable(Protocol):
    """The one method of `wsgi.input` that is needed here."""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, none at the end."""
        ...


def discard(body: Readable, *, max_bytes: int = _MAX_BYTES) -> None:
    """Read *body* to its end, or until *max_bytes* say that its sender will not stop."""
    left = max_bytes
    with suppress(OSError):  # a client that has gone needs no answer
        while left > 0 and (chunk := body.read(min(left, _CHUNK_BYTES))):
            left -= len(chunk)
