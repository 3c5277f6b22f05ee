"""The HTTP application of a function: its routes, and what an error becomes."""

import logging
from http import HTTPStatus
from time import perf_counter

from flask import Flask, Response, g, jsonify, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from rookery.errors import BodyTooLarge, RookeryError
from rookery.models.classification import to_document
from rookery.serving.gate import Gate
from rookery.serving.health import health_routes
from rookery.serving.metrics import FunctionMetrics
from rookery.serving.openapi import openapi_document
from rookery.serving.payload import ImagePayload, read_payload
from rookery.serving.reply import to_refusal, to_response
from rookery.serving.service import Service
from rookery.serving.startup import Startup
from rookery.status import status_of

_log = logging.getLogger(__name__)


def create_app(
    name: str,
    startup: Startup[Service],
    gate: Gate,
    metrics: FunctionMetrics,
    *,
    max_body_bytes: int,
) -> Flask:
    """Build the application of function *name*, which answers once *startup* has opened it.

    *gate* admits requests before they wait for *startup*, so that probes find a thread.
    """
    app = Flask(name, static_folder=None)
    # One more than the limit, so that a body without a declared length is seen to pass it.
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes + 1
    # werkzeug's own bound on a form is per field and far below a photograph.
    app.config["MAX_FORM_MEMORY_SIZE"] = max_body_bytes
    provider = DefaultJSONProvider(app)
    provider.sort_keys = False  # the answer's own order is for people to read
    app.json = provider
    app.register_blueprint(health_routes(startup))
    metrics.watch(startup)

    @app.get("/")
    def named_image() -> Response:
        with gate.admit():
            service = startup.service()
            _, data = service.gallery.read(request.args.get("imageName"))
            return jsonify(to_document(service.classify(data)))

    @app.post("/")
    def image_or_events() -> Response:
        with gate.admit():
            payload = read_payload(request, max_bytes=max_body_bytes)
            service = startup.service()
            if isinstance(payload, ImagePayload):
                return jsonify(to_document(service.classify(payload.data)))
            return to_response(service.subscriber.handle(payload.headers, payload.body))

    @app.get("/metrics")
    def exposition() -> Response:
        body, content_type = metrics.exposition()
        return Response(body, content_type=content_type)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(openapi_document(name, max_body_bytes=max_body_bytes))

    _count_requests(app, metrics)
    _answer_errors(app, metrics, max_body_bytes)
    return app


def _count_requests(app: Flask, metrics: FunctionMetrics) -> None:
    @app.before_request
    def start() -> None:
        g.started = perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        # The route, not the path: a stranger's paths must not become label values.
        route = f"{request.method} {request.url_rule}" if request.url_rule else "none"
        metrics.count_request(route, response.status_code, perf_counter() - g.started)
        return response


def _answer_errors(app: Flask, metrics: FunctionMetrics, max_body_bytes: int) -> None:
    @app.errorhandler(RookeryError)
    def ours(error: RookeryError) -> Response:
        status = status_of(error)
        metrics.count_error(error.code)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.warning("%s: %s", error.code, error)
        return to_refusal(error)

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(error: RequestEntityTooLarge) -> Response:
        del error
        return ours(BodyTooLarge(max_body_bytes, length=request.content_length))

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        metrics.count_error(error.name.replace(" ", ""))
        response = jsonify(
            {"error": error.name.replace(" ", ""), "message": error.description or error.name}
        )
        response.status_code = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        allowed = error.get_headers()
        response.headers.update({k: v for k, v in allowed if k == "Allow"})
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        """Answer 500, which brokers retry, and keep the traceback in the log alone."""
        _log.error("unexpected %s", type(error).__name__, exc_info=error)
        metrics.count_error("Unexpected")
        response = jsonify(
            {"error": "Unexpected", "message": "the function failed; its log says why"}
        )
        response.status_code = HTTPStatus.INTERNAL_SERVER_ERROR
        return response
