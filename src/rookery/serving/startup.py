"""Loading behind readiness: the port answers at once, the service when it is warm."""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from time import perf_counter
from typing import Generic, Literal, TypeVar

from rookery.errors import ModelLoading, RookeryError

_log = logging.getLogger(__name__)

State = Literal["cold", "loading", "ready", "failed", "draining"]
ServiceT_co = TypeVar("ServiceT_co", covariant=True)


class Startup(Generic[ServiceT_co]):
    """Opens a service once, in a thread of its own, and hands it to whoever asks.

    A process that is forked after import (gunicorn's workers) must not start threads before the
    fork, so nothing happens until `begin` or the first `service` call.

    Args:
        open_service: opens the service; left again by `close`.
        wait_seconds: how long `service` waits for one that is still loading.
        on_ready: told how many seconds opening took, once readiness is answered with yes.
    """

    def __init__(
        self,
        open_service: Callable[[], AbstractContextManager[ServiceT_co]],
        *,
        wait_seconds: float,
        on_ready: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._open = open_service
        self._on_ready = on_ready
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._stack = ExitStack()
        self._state: State = "cold"
        self._service: ServiceT_co | None = None
        self._error: BaseException | None = None

    @property
    def state(self) -> State:
        """Where this process is in its life."""
        return self._state

    @property
    def error(self) -> BaseException | None:
        """Why opening the service failed, once it has."""
        return self._error

    def begin(self) -> None:
        """Start loading, unless that has been done."""
        with self._lock:
            if self._state != "cold":
                return
            self._state = "loading"
        threading.Thread(target=self._run, name="rookery-startup", daemon=True).start()

    def service(self) -> ServiceT_co:
        """Return the service, waiting for it while it is loading.

        Raises:
            ModelLoading: it is not ready within the waiting time.
            RookeryError: opening it failed.
        """
        self.begin()
        self._settled.wait(self._wait_seconds)
        if self._service is not None:
            return self._service
        if self._error is not None:
            if isinstance(self._error, RookeryError):
                # One error is raised to many: without this its traceback would grow with each.
                raise self._error.with_traceback(None)
            raise ModelLoading(
                f"the function failed to start: {self._error}", retry_after=30
            ) from self._error
        raise ModelLoading("the model is still loading; retry shortly", retry_after=2)

    def wait(self) -> None:
        """Block until opening the service has succeeded or failed."""
        self._settled.wait()

    def drain(self) -> None:
        """Stop being ready; requests are still served."""
        with self._lock:
            self._state = "draining"

    def close(self) -> None:
        """Leave the service, if it was opened."""
        self._stack.close()

    def _run(self) -> None:
        started = perf_counter()
        try:
            self._service = self._stack.enter_context(self._open())
        except RookeryError as exc:
            self._fail(exc)
        except BaseException as exc:
            # Whoever waits must learn of it; the thread's own excepthook prints the traceback.
            self._fail(exc)
            raise
        else:
            with self._lock:
                if self._state == "loading":
                    self._state = "ready"
            self._on_ready(perf_counter() - started)
        finally:
            self._settled.set()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = error
            self._state = "failed"
