"""Requests whose application call never waits: begun and answered by the thread that reads.

A worker thread that waits until an event is on disk costs more than the event: it is woken to begin
and again to answer, and queues for the interpreter lock each time. The application instead returns
an iterable with `when_ready`, which calls back once iterating it will not wait, and has not called
`start_response` yet; PEP 3333 lets it do so as late as with the first chunk.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from waitress.task import ThreadedTaskDispatcher

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from rookery.serving.channel import Channel

Prompt = Callable[["WSGIEnvironment"], bool]
"""Says of a request whether the application, called with it, returns without waiting."""

_BEGUN: Final = "rookery.begun"


WhenReady = Callable[[Callable[[], None]], None]
"""Calls back once, from any thread, when iterating no longer waits; or at once."""


def never(environ: "WSGIEnvironment") -> bool:
    """Leave every request to the worker threads."""
    del environ
    return False


class PromptDispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Begins prompt requests at once, and leaves the others to the worker threads."""

    def __init__(self, app: "WSGIApplication", prompt: Prompt, wake: Callable[[], None]) -> None:
        """Begin what is *prompt*; *wake* makes the reading thread call `conclude`."""
        super().__init__()
        self._app = app
        self._prompt = prompt
        self._wake = wake
        self._reader: int | None = None
        self._ready: deque[Channel] = deque()
        self._woken = False
        self._concluding = False

    def add_task(self, channel: "Channel") -> None:
        """Take over the first request of *channel*."""
        request = channel.requests[0]
        # What is still to be sent may have to wait for its client, which the reader must not.
        busy = request.error is not None or channel.total_outbufs_len
        if threading.get_ident() == self._reader and not busy:
            environ = channel.task_class(channel, request).get_environment()
            if self._prompt(environ):
                self._begin(channel, environ)
                return
        super().add_task(channel)

    def conclude(self) -> None:
        """Answer what is ready; in the thread that reads only, and often."""
        self._reader = threading.get_ident()
        self._woken = False
        self._concluding = True
        try:
            while self._ready:
                self._ready.popleft().service()
        finally:
            self._concluding = False

    @property
    def awake(self) -> bool:
        """Whether this is the thread that reads, and need not be woken."""
        return self._concluding and threading.get_ident() == self._reader

    def _begin(self, channel: "Channel", environ: "WSGIEnvironment") -> None:
        begun = _Begun(self._app, environ)
        channel.requests[0].environ = environ | {_BEGUN: begun}
        when_ready: WhenReady | None = getattr(begun.iterable, "when_ready", None)
        if when_ready is None:
            self._done(channel)
        else:
            when_ready(partial(self._done, channel))

    def _done(self, channel: "Channel") -> None:
        self._ready.append(channel)
        # In this order, as `conclude` goes the other way round: none is left behind.
        if not self._woken:
            self._woken = True
            self._wake()


class _Begun:
    """An application call, and what it has said so far."""

    def __init__(self, app: "WSGIApplication", environ: "WSGIEnvironment") -> None:
        self._held: tuple[str, list[tuple[str, str]]] | None = None
        self._start_response: StartResponse | None = None
        self._error: Exception | None = None
        self.iterable: Iterable[bytes] = ()
        try:
            self.iterable = app(environ, self._start)
        except Exception as exc:  # noqa: BLE001 - raised again where it becomes a 500
            self._error = exc

    def resume(self, start_response: "StartResponse") -> Iterable[bytes]:
        self._start_response = start_response
        if self._error is not None:
            raise self._error
        if self._held is not None:
            start_response(*self._held)
        return self.iterable

    def _start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: "OptExcInfo | None" = None,
    ) -> Callable[[bytes], object]:
        if self._start_response is not None:
            return self._start_response(status, headers, exc_info)
        self._held = (status, headers)
        return _write


def resuming(app: "WSGIApplication") -> "WSGIApplication":
    """Return *app* as the tasks of a PromptDispatcher call it: once for each request."""

    def call(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        begun: _Begun | None = environ.get(_BEGUN)
        return app(environ, start_response) if begun is None else begun.resume(start_response)

    return call


def _write(data: bytes) -> None:
    raise NotImplementedError("a prompt application must return its body")
