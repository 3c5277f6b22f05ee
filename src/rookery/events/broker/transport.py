"""One HTTP attempt: POST an event over pooled connections, and read a bounded answer."""

import time
from collections.abc import Mapping
from typing import Final

import urllib3

from rookery.events.broker.outcome import Answer, NoAnswer

_CHUNK: Final = 64 * 1024


class Transport:
    """POSTs to many hosts and keeps connections open. Safe for all threads."""

    def __init__(self, *, max_answer_bytes: int, connections_per_host: int) -> None:
        """Connect to nothing yet.

        Args:
            max_answer_bytes: a longer answer counts as none.
            connections_per_host: how many stay open while idle.
        """
        self._max_answer_bytes = max_answer_bytes
        # urllib3 sets TCP_NODELAY; its own retries and redirects would hide what was answered.
        self._pools = urllib3.PoolManager(
            num_pools=256, maxsize=connections_per_host, retries=False
        )

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> Answer | NoAnswer:
        """POST once; *timeout* seconds bound the connection, the wait and the reading."""
        deadline = time.monotonic() + timeout
        try:
            response = self._pools.urlopen(
                "POST",
                url,
                headers=headers,
                body=body,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(total=timeout),
            )
        except urllib3.exceptions.NewConnectionError as exc:
            return NoAnswer(_reason(exc))  # a TimeoutError by urllib3's class tree only
        except urllib3.exceptions.TimeoutError:
            return NoAnswer(f"no answer within {timeout:g} s")
        except urllib3.exceptions.HTTPError as exc:
            return NoAnswer(_reason(exc))
        except ValueError as exc:
            # http.client refuses header values with line breaks or beyond Latin-1.
            return NoAnswer(f"the event cannot be written as HTTP headers: {exc}", final=True)
        return self._read(response, deadline)

    def close(self) -> None:
        """Close the idle connections."""
        self._pools.clear()

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float) -> Answer | NoAnswer:
        body = bytearray()
        try:
            while chunk := response.read1(_CHUNK):
                body += chunk
                if len(body) > self._max_answer_bytes:
                    response.close()
                    return NoAnswer(f"the answer is longer than {self._max_answer_bytes:,} bytes")
                # The socket's own timeout starts anew with every byte that trickles in.
                if time.monotonic() > deadline:
                    response.close()
                    return NoAnswer("the answer did not end in time")
        except urllib3.exceptions.TimeoutError:
            return NoAnswer("the answer did not end in time")
        except urllib3.exceptions.HTTPError as exc:
            return NoAnswer(_reason(exc))
        response.release_conn()
        return Answer(response.status, response.headers, bytes(body))


def _reason(exc: urllib3.exceptions.HTTPError) -> str:
    # The innermost cause says most: "[Errno 111] Connection refused".
    cause: BaseException = exc
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return f"{type(cause).__name__}: {cause}"
