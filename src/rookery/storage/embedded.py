"""The embedded S3: moto's server application, with SQS beside it for its notifications.

Everything is in memory and in this process. What is put around moto here makes it fit to be served
by threads: direct dispatch (moto's own looks through every AWS service on every request, 3 ms),
the raw path that it needs for odd keys, one delete from a queue at a time, and real credentials.
"""

import io
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from rookery.errors import SettingsInvalid
from rookery.storage.embedded_notifications import correct_notifications
from rookery.storage.signature import SignedRequest, refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_JSON: Final = "application/x-amz-json-1.0"
# moto takes any name, and the region to act in from it.
_ANYBODY: Final = f"AWS4-HMAC-SHA256 Credential=rookery/20260101/{REGION}/s3/aws4_request"
_PROBES: Final = frozenset({"/health/liveness", "/health/readiness"})
# Bodies of SQS requests are signed without a hash header, so verifying reads them.
_SQS_BODY_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The one pair of S3 credentials that is accepted."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"KeyPair(access_key={self.access_key!r})"


def application() -> "WSGIApplication":
    """Return S3 and SQS as one WSGI application that takes any credentials, as moto does."""
    from moto.server import create_backend_app  # noqa: PLC0415

    correct_notifications()
    s3: WSGIApplication = create_backend_app("s3")
    sqs: WSGIApplication = create_backend_app("sqs")
    deleting = threading.Lock()
    changing = threading.Lock()

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # moto wants the path as it was sent: PATH_INFO has lost the difference of / and %2F.
        environ.setdefault("RAW_URI", environ.get("REQUEST_URI", ""))
        if not _is_sqs(environ):
            if environ["REQUEST_METHOD"] in _READING:
                return s3(environ, start_response)
            # An overwrite closes the buffer of what it replaces, while that upload's notification
            # still reads its entity tag.
            with changing:
                return s3(environ, start_response)
        if "DeleteMessage" not in environ.get("HTTP_X_AMZ_TARGET", ""):
            return sqs(environ, start_response)
        # moto rebuilds the list of messages without a lock: a second delete at the same time
        # would put its own copy back and lose what was sent in between.
        with deleting:
            return sqs(environ, start_response)

    return serve


def with_health(app: "WSGIApplication") -> "WSGIApplication":
    """Answer probes in front of *app*: whoever is answered here is served, there is no warm-up."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # A bucket may be called health; whoever wants an object of it signs the request.
        if environ["PATH_INFO"] not in _PROBES or "HTTP_AUTHORIZATION" in environ:
            return app(environ, start_response)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
        return [b"ok\n"]

    return serve


def with_credentials(app: "WSGIApplication", keys: KeyPair) -> "WSGIApplication":
    """Put a check of access key and signature in front of *app*; presigned URLs are refused."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = _signed_request(environ)
        reason = refusal(request, access_key=keys.access_key, secret_key=keys.secret_key)
        if reason is None:
            return app(environ, start_response)
        content_type, body = _refusal_body(reason, sqs=_is_sqs(environ))
        start_response(
            "403 Forbidden",
            [("Content-Type", content_type), ("Content-Length", str(len(body)))],
        )
        return [body]

    return serve


def provision(app: "WSGIApplication", *, buckets: Sequence[str], queue: str) -> None:
    """Create *buckets*, and *queue* with every bucket's object-created notifications in it.

    Speaks the public S3 and SQS API to *app* itself, before anybody listens, and leaves both warm:
    the first request of each kind costs moto a tenth of a second.

    Raises:
        SettingsInvalid: a bucket or queue name is not allowed.
    """
    from werkzeug.test import Client  # noqa: PLC0415

    client = Client(app)

    def call(what: str, method: str, path: str, **arguments: str | bytes) -> None:
        target = str(arguments.pop("target", ""))
        headers = {"Authorization": _ANYBODY}
        if target:
            headers |= {"X-Amz-Target": target, "Content-Type": _JSON}
        response = client.open(
            path, method=method, headers=headers, data=arguments.get("body", b"")
        )
        if not 200 <= response.status_code < 300:  # noqa: PLR2004
            answer = " ".join(response.get_data(as_text=True).split())
            raise SettingsInvalid([f"{what}: {answer[:300]}"])

    for bucket in buckets:
        call(f"bucket {bucket!r}", "PUT", f"/{bucket}")
        for method in ("PUT", "GET", "DELETE"):
            call(f"object in {bucket!r}", method, f"/{bucket}/.rookery-probe", body=b"probe")
    call(
        f"queue {queue!r}",
        "POST",
        "/",
        target="AmazonSQS.CreateQueue",
        body=f'{{"QueueName": "{queue}"}}',
    )
    for bucket in buckets:
        call(
            f"notifications of {bucket!r}",
            "PUT",
            f"/{bucket}?notification",
            body=_notification(queue),
        )


def queue_url(endpoint: str, queue: str) -> str:
    """Return the URL of *queue* for clients of *endpoint*."""
    return f"{endpoint}/{ACCOUNT}/{queue}"


def _notification(queue: str) -> str:
    return (
        '<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<QueueConfiguration><Id>rookery</Id>"
        f"<Queue>arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}</Queue>"
        "<Event>s3:ObjectCreated:*</Event>"
        "</QueueConfiguration></NotificationConfiguration>"
    )


def _is_sqs(environ: "WSGIEnvironment") -> bool:
    # Older clients speak SQS's query protocol, which only the scope of the signature tells apart.
    return "/sqs/aws4_request" in environ.get("HTTP_AUTHORIZATION", "") or environ.get(
        "HTTP_X_AMZ_TARGET", ""
    ).startswith("AmazonSQS.")


def _signed_request(environ: "WSGIEnvironment") -> SignedRequest:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    headers["content-length"] = environ.get("CONTENT_LENGTH", "")
    body = b""
    if "x-amz-content-sha256" not in headers:
        body = environ["wsgi.input"].read(
            min(int(environ.get("CONTENT_LENGTH") or 0), _SQS_BODY_BYTES)
        )
        environ["wsgi.input"] = io.BytesIO(body)
    return SignedRequest(
        method=environ["REQUEST_METHOD"],
        target=environ.get("REQUEST_URI", "/"),
        headers=headers,
        body=body,
    )


def _refusal_body(reason: str, *, sqs: bool) -> tuple[str, bytes]:
    message = "the embedded S3 does not accept these credentials"
    if sqs:
        return _JSON, f'{{"__type": "{reason}", "message": "{message}"}}'.encode()
    return "application/xml", (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<Error><Code>{escape(reason)}</Code><Message>{message}</Message></Error>"
    ).encode()
