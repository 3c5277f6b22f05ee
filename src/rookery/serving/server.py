"""One process, many threads: the WSGI server, its signals and its drain."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def serve(
    app: "WSGIApplication",
    *,
    host: str,
    port: int,
    threads: int,
    max_body_bytes: int,
    drain_seconds: float,
    on_listening: Callable[[str], None] = lambda url: None,
    on_drain: Callable[[], None] = lambda: None,
) -> None:
    """Serve *app* until SIGTERM or SIGINT, then finish what is in flight and return.

    Args:
        on_listening: called once with the URL when the port is bound (0 picks a free one).
        on_drain: called once when the signal arrives, before requests are finished.

    Raises:
        PortTaken: the address is in use or may not be bound.
    """
    raise NotImplementedError
