"""waitress's request parser, with the bounds it lacks and errors in our terms."""

from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented
from waitress.utilities import Error, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

from rookery.errors import BodyTooLarge, HeadersTooLarge, RequestInvalid, RookeryError
from rookery.serving.chunked import ChunkedBody
from rookery.serving.limits import HEADER_BYTES, HEADER_FIELDS
from rookery.status import status_of


class Refusal(Error):  # type: ignore[misc]
    """One of our errors, in the shape in which waitress carries its own."""

    def __init__(self, error: RookeryError) -> None:
        """Carry *error*."""
        super().__init__(str(error))
        self.error = error
        self.code = status_of(error)
        self.reason = self.code.phrase


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """A request being received."""

    error: Error | None
    body_rcv: "_Body"

    def refuse(self, error: RookeryError) -> None:
        """Be complete, and be answered with *error*."""
        self.error = Refusal(error)
        self.completed = True

    def received(self, data: bytes) -> int:
        """Take *data*; return how much of it belongs to this request."""
        try:
            taken: int = super().received(data)
        except (RequestInvalid, HeadersTooLarge) as exc:
            self.refuse(exc)
            return len(data)
        if isinstance(self.error, RequestEntityTooLarge):
            limit = self.adj.max_request_body_size - 1
            self.refuse(BodyTooLarge(limit, length=self.content_length or None))
        elif isinstance(self.error, RequestHeaderFieldsTooLarge):
            self.refuse(HeadersTooLarge(f"the headers are longer than {HEADER_BYTES:,} bytes"))
        return taken

    def parse_header(self, header_plus: bytes) -> None:
        """Read request line and headers."""
        if header_plus.count(b"\r\n") > HEADER_FIELDS + 2:  # the request line, and the end
            raise HeadersTooLarge(f"the request has more than {HEADER_FIELDS} headers")
        try:
            super().parse_header(header_plus)
        except (ParsingError, TransferEncodingNotImplemented) as exc:
            # Not the 501 of an unknown transfer coding: brokers retry every 5xx.
            raise RequestInvalid(f"Bad Request: {exc}") from exc
        except ValueError as exc:  # a length of 5,000 digits, a URL of half an IPv6 address
            raise RequestInvalid("the URL or the Content-Length cannot be read") from exc
        if not self.chunked:
            if "TRANSFER_ENCODING" in self.headers:
                raise RequestInvalid("Transfer-Encoding needs HTTP/1.1")
            return
        if "CONTENT_LENGTH" in self.headers:
            # Whoever stands in front may believe the other one: RFC 9112, section 6.1.
            raise RequestInvalid("Content-Length and Transfer-Encoding contradict each other")
        self.body_rcv = _Body(self.body_rcv.getbuf())


class _Body(ChunkedBody):
    """A chunked body as waitress wants its receivers: with the buffer, and with no exceptions."""

    error: Refusal | None = None

    def __init__(self, buffer: OverflowableBuffer) -> None:
        super().__init__(buffer)
        self._file = buffer

    def received(self, data: bytes) -> int:
        try:
            return super().received(data)
        except RequestInvalid as exc:
            self.error = Refusal(exc)
            return len(data)

    def getfile(self) -> object:
        return self._file.getfile()

    def getbuf(self) -> OverflowableBuffer:
        return self._file
