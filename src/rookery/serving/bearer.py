"""A token in front of an application: who sends events, or reads them, must know it."""

import hmac
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from rookery.errors import TokenRefused
from rookery.serving.health_paths import LIVENESS, READINESS
from rookery.status import body_of, headers_of, status_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Probes and scrapers have no token, and what they see tells nothing of events. OPTIONS is how
# CloudEvents producers ask before they push (web hooks, section 4).
_OPEN: Final = frozenset({*LIVENESS, *READINESS, "/metrics"})
_READING: Final = frozenset({"GET", "HEAD"})


def with_bearer(
    app: "WSGIApplication",
    accepted: Callable[[], tuple[str, ...]] | None,
    on_refused: Callable[[str, int], None],
) -> "WSGIApplication":
    """Let only requests with an *accepted* token reach *app*; without tokens let in everybody.

    Health and metrics stay open. A sender that cannot set a header, as Ceph, may name the token in
    the URL it posts to (`?access_token=`: RFC 6750, section 2.3), where `+` is a plus. Whoever is
    refused gets 401, which is final: a broker puts the event among its dead letters. *on_refused*
    is told code and status.
    """
    if accepted is None:
        return app

    def check(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if _is_open(environ) or _is_known(_sent(environ), accepted()):
            return app(environ, start_response)
        error = TokenRefused(
            "send the header `Authorization: Bearer TOKEN` with a token that is accepted here"
        )
        status, body = status_of(error), json.dumps(body_of(error)).encode()
        on_refused(error.code, int(status))
        start_response(
            f"{int(status)} {status.phrase}",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                *headers_of(error).items(),
            ],
        )
        return [body]

    return check


def _is_open(environ: "WSGIEnvironment") -> bool:
    method = environ["REQUEST_METHOD"]
    return method == "OPTIONS" or (method in _READING and environ.get("PATH_INFO") in _OPEN)


def _sent(environ: "WSGIEnvironment") -> str:
    header: str = environ.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if environ["REQUEST_METHOD"] == "POST":
        query: str = environ.get("QUERY_STRING", "")
        # A form's + would be a blank, which is in no token: here it is the sign itself.
        return dict(parse_qsl(query.replace("+", "%2B"))).get("access_token", "")
    return ""


def _is_known(token: str, accepted: tuple[str, ...]) -> bool:
    sent = token.encode("utf-8", "replace")
    # Every one is compared, and each in constant time.
    return sum(hmac.compare_digest(sent, each.encode()) for each in accepted) > 0
