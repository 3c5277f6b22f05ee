"""Liveness as soon as the port is bound, readiness once warmed and until drained."""

from http import HTTPStatus

from flask import Blueprint, Response, jsonify

from rookery.errors import RookeryError
from rookery.serving.health_paths import LIVENESS, READINESS
from rookery.serving.startup import Startup
from rookery.status import body_of


def health_routes(startup: Startup[object]) -> Blueprint:
    """Build the health routes over the state of *startup*."""
    routes = Blueprint("health", __name__)

    def liveness() -> Response:
        startup.begin()
        return jsonify({"live": True})

    def readiness() -> tuple[Response, HTTPStatus]:
        startup.begin()
        state = startup.state
        body: dict[str, object] = {"ready": state == "ready", "state": state}
        if isinstance(startup.error, RookeryError):
            body |= body_of(startup.error)
        status = HTTPStatus.OK if state == "ready" else HTTPStatus.SERVICE_UNAVAILABLE
        return jsonify(body), status

    for path in LIVENESS:
        routes.add_url_rule(path, path, liveness)
    for path in READINESS:
        routes.add_url_rule(path, path, readiness)
    return routes
