"""A chunked request body, decoded with bounds on everything that is not data.

waitress's own decoder holds a line however long it gets, copies it with every packet, and takes
ten microseconds for a chunk of one byte: 20 MiB of those kept the thread that reads for everybody
busy for half a minute.
"""

import re
from typing import Final, Protocol

from rookery.errors import RequestInvalid

_LINE_BYTES: Final = 4096
# What the framing may weigh: this much, and an eighth of the data. Chunks of fifty bytes may go on
# for ever; forty thousand of a single byte are let through.
_FRAMING_BYTES: Final = 256 * 1024
_DATA_PER_FRAMING: Final = 8
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[^\r\n]*)?")
_END: Final = b"\r\n"


class Buffer(Protocol):
    """Where the data goes."""

    def append(self, data: bytes, /) -> None:
        """Keep *data*."""
        ...


class ChunkedBody:
    """Decodes RFC 9112, section 7.1, as it arrives; extensions and trailers are thrown away."""

    def __init__(self, buffer: Buffer) -> None:
        """Write the data to *buffer*."""
        self._buffer = buffer
        self._length = 0
        self._framing = 0
        self._line = b""  # the start of a line whose end has not arrived
        self._left = 0  # bytes missing of the present chunk
        self._ending = False  # the present chunk is there, the line end behind it is not
        self._trailing = False  # the last chunk is there, the trailer is not
        self.completed = False

    def __len__(self) -> int:
        """Return how many bytes of data have arrived."""
        return self._length

    def received(self, data: bytes) -> int:
        """Decode *data*; return how much of it belongs to this body.

        Raises:
            RequestInvalid: it is no chunked body, or more frame than content.
        """
        carried = len(self._line)
        text, self._line = self._line + data, b""
        pieces: list[bytes] = []
        position = 0
        while position < len(text) and not self.completed:
            if self._left:
                piece = text[position : position + self._left]
                pieces.append(piece)
                self._left -= len(piece)
                self._length += len(piece)
                self._ending = not self._left
                position += len(piece)
                continue
            end = text.find(_END, position, position + _LINE_BYTES)
            if end < 0:
                if len(text) - position >= _LINE_BYTES:
                    raise RequestInvalid(f"a chunk's line is longer than {_LINE_BYTES:,} bytes")
                self._line = text[position:]
                position = len(text)
                break
            self._take_line(text[position:end])
            position = end + len(_END)
        if pieces:
            self._buffer.append(b"".join(pieces))
        return position - carried

    def _take_line(self, line: bytes) -> None:
        self._framing += len(line) + len(_END)
        if self._framing > _FRAMING_BYTES + self._length // _DATA_PER_FRAMING:
            raise RequestInvalid(
                f"the chunked body has {self._framing:,} bytes of framing around "
                f"{self._length:,} bytes of data; send larger chunks"
            )
        if self._ending:
            if line:
                raise RequestInvalid("a chunk is longer than its size says")
            self._ending = False
        elif self._trailing:
            self.completed = not line
        else:
            size = _SIZE.fullmatch(line)
            if size is None:
                raise RequestInvalid("a chunk does not begin with its size")
            self._left = int(size[1], 16)
            self._trailing = not self._left
