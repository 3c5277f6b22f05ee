"""The broker's HTTP application: a bare WSGI callable, as every framework costs events a second."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST

from rookery.errors import RookeryError
from rookery.events.broker.exchange import Response, answer, answer_json, empty, refusal, refuse
from rookery.events.broker.ingress import Ingress
from rookery.events.broker.inspection import Inspection
from rookery.events.broker.metrics import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Handler = Callable[["WSGIEnvironment"], Response]


class App:
    """Routes requests: a POST anywhere but to /replay carries events."""

    def __init__(
        self,
        ingress: Ingress,
        inspection: Inspection,
        metrics: Metrics,
        ready: Callable[[], str | None],
        alive: Callable[[], str | None],
    ) -> None:
        """Serve these parts; *ready* and *alive* say what is wrong, or None."""
        self._ingress = ingress
        self._inspection = inspection
        self._metrics = metrics
        self._readers: dict[str, Handler] = {
            "/events": inspection.events,
            "/deadletters": inspection.dead_letters.list,
            "/triggers": lambda _: inspection.triggers(),
            "/metrics": lambda _: answer(metrics.text(), CONTENT_TYPE_LATEST),
            "/health/liveness": lambda _: _health(alive()),
            "/health/readiness": lambda _: _health(ready()),
        }
        self._handlers: dict[tuple[str, str], Handler] = {
            ("POST", "/replay"): inspection.replay,
            ("DELETE", "/deadletters"): inspection.dead_letters.drop,
            **{("GET", path): reader for path, reader in self._readers.items()},
        }

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        try:
            response = self._route(environ)
        except RookeryError as exc:
            response = refusal(exc)
        start_response(response.status, list(response.headers))
        return response.body

    def _route(self, environ: "WSGIEnvironment") -> Response:
        method: str = environ["REQUEST_METHOD"]
        path: str = environ.get("PATH_INFO", "")
        if (handler := self._handlers.get((method, path))) is not None:
            return handler(environ)
        if method == "POST":
            # Knative's ingress is /NAMESPACE/BROKER; there is one broker here, so any path is it.
            return self._ingress.post(environ)
        if method == "OPTIONS":
            # CloudEvents web hooks, section 4: producers may ask before they push.
            return empty(
                "200 OK",
                Allow="POST, OPTIONS",
                WebHook_Allowed_Origin="*",
                WebHook_Allowed_Rate="*",
            )
        if method == "GET":
            known = ", ".join(sorted(self._readers))
            return refuse("404 Not Found", "NotFound", f"there is {known}; events are POSTed")
        message = f"{method} does nothing here; events are POSTed"
        return refuse("405 Method Not Allowed", "MethodNotAllowed", message, Allow="POST")


def _health(problem: str | None) -> Response:
    if problem is None:
        return answer_json({"status": "ok"})
    return answer_json({"status": problem}, status="503 Service Unavailable")
