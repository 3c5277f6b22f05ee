"""The function as it is deployed, under both of its servers."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

from rookery.events.result import COMPLETED
from rookery.events.wire import BATCH, STRUCTURED, from_http
from rookery.free_ports import free_ports

# One worker, because what these tests share takes seconds to start.
pytestmark = pytest.mark.xdist_group("classify")

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "functions" / "classify" / "classify.py"
FRAMEWORK = Path(sys.executable).with_name("functions-framework")
PENGUIN = [["king penguin, Aptenodytes patagonica"]]
EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "aws:s3.us-east-1.images",
    "type": "com.amazonaws.s3.ObjectCreated:Put",
    "datacontenttype": "application/json",
    "data": {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "eventTime": "2026-01-01T00:00:00Z",
                "s3": {
                    "bucket": {"name": "images"},
                    "object": {"key": "a+b%2B%C3%A9.jpg", "eTag": "1"},
                },
            }
        ]
    },
}


@pytest.fixture(scope="module")
def bucket_url(jpeg):
    """An S3 that has one object: `a b+é.jpg` in the bucket `images`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path.partition("?")[0] == "/images/a%20b%2B%C3%A9.jpg"
            body = jpeg if found else b"<Error><Code>NoSuchKey</Code></Error>"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module", params=["rookery", "functions-framework"])
def url(request, launch, environ, bucket_url, wait_until):
    env = {
        **environ,
        "S3_ENABLED": "true",
        "S3_BUCKET_NAME": "images",
        "S3_ENDPOINT_URL": bucket_url,
        "S3_ACCESS_KEY": "key",
        "S3_SECRET_KEY": "secret",
        "ROOKERY_MAX_BODY_BYTES": str(12 * 2**20),
    }
    if request.param == "rookery":
        command = (sys.executable, "-m", "rookery", "serve", str(TARGET.parent))
        with launch(command, env) as server:
            yield server.said(r"listening on (http\S+)")[1]
        return
    (port,) = free_ports(1)
    at = f"http://127.0.0.1:{port}"
    command = (
        FRAMEWORK,
        "--target=classify",
        f"--source={TARGET}",
        "--host=127.0.0.1",
        f"--port={port}",
    )
    with launch(command, env) as server:
        wait_until(lambda: _answers(at, server), "functions-framework to answer")
        yield at


def request(method, url, **options):
    # A busy machine takes longer than the three seconds that urllib3 waits by itself.
    return urllib3.request(method, url, timeout=60, **options)


def _answers(at, server):
    assert server.process.poll() is None, server.text
    try:
        return request("GET", f"{at}/health/liveness", retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def post(url, body, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request("POST", url, body=body, headers=named)


@pytest.mark.parametrize(
    "content_type", ["image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded"]
)
def test_a_posted_image_is_classified(url, jpeg, content_type):
    response = post(url, jpeg, Content_Type=content_type)
    assert response.status == 200
    assert response.json()["top_prediction"] == PENGUIN


def test_an_image_in_a_form_is_classified(url, jpeg):
    response = request("POST", url, fields={"image": ("photo.jpg", jpeg)})
    assert response.json()["top_prediction"] == PENGUIN


def test_an_image_in_chunks_is_classified(url, jpeg):
    chunks = [jpeg[start : start + 100] for start in range(0, len(jpeg), 100)]
    response = request("POST", url, body=iter(chunks), headers={"Content-Type": "image/jpeg"})
    assert response.json()["top_prediction"] == PENGUIN


@pytest.mark.parametrize(
    ("query", "size"),
    [("?imageName=test1", (512, 600)), ("?imageName=test2.jpg", (640, 427)), ("", (512, 600))],
)
def test_a_named_image_is_classified(url, query, size):
    answer = request("GET", f"{url}/{query}").json()
    assert answer["top_prediction"] == PENGUIN
    assert (answer["image"]["width"], answer["image"]["height"]) == size


@pytest.mark.parametrize("mode", ["binary", "structured", "batch"])
def test_a_cloudevent_is_answered_with_the_result_event(url, mode):
    if mode == "binary":
        attributes = {f"ce-{name}": EVENT[name] for name in ("specversion", "id", "source", "type")}
        body = json.dumps(EVENT["data"]).encode()
        response = post(url, body, Content_Type="application/json", Prefer="reply", **attributes)
    elif mode == "structured":
        response = post(url, json.dumps(EVENT).encode(), Content_Type=STRUCTURED, Prefer="reply")
    else:
        response = post(url, json.dumps([EVENT]).encode(), Content_Type=BATCH, Prefer="reply")
    assert response.status == 200, response.data
    (result,) = from_http(dict(response.headers.items()), response.data)
    assert (result.type, result.subject) == (COMPLETED, "a b+é.jpg")
    assert result.json()["top_prediction"] == PENGUIN


def test_an_object_that_is_gone_is_refused_for_good(url):
    gone = json.loads(json.dumps(EVENT).replace("a+b", "gone"))
    response = post(url, json.dumps(gone).encode(), Content_Type=STRUCTURED)
    assert (response.status, response.json()["error"]) == (410, "ObjectGone")


@pytest.mark.parametrize(
    "path", ["/health/liveness", "/health/readiness", "/metrics", "/openapi.json"]
)
def test_probes_metrics_and_the_document_answer(url, path, wait_until):
    wait_until(lambda: request("GET", url + path).status == 200, f"{path} to answer 200")


def test_a_body_beyond_the_frameworks_own_limit_is_read(url):
    response = post(url, b"II*\0" + b"x" * (11 * 2**20), Content_Type="image/tiff")
    assert (response.status, response.json()["error"]) == (415, "FormatNotAllowed")


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_beyond_our_own_limit_is_refused(url, chunked):
    body = [b"x" * 2**20] * 13
    response = request(
        "POST",
        url,
        body=iter(body) if chunked else b"".join(body),
        headers={"Content-Type": "image/png"},
    )
    assert (response.status, response.json()["error"]) == (413, "BodyTooLarge")


def test_a_long_body_that_is_refused_unread_is_told_why(url):
    response = post(url, b"x" * (11 * 2**20), Content_Type="text/plain")
    assert (response.status, response.json()["error"]) == (415, "UnsupportedMedia")


def test_what_cannot_be_served_is_short_json_under_either_server(url):
    for response, expected in (
        (post(url, b"text", Content_Type="image/jpeg"), (422, "ImageUndecodable")),
        (post(url, b"x", Content_Type="text/plain"), (415, "UnsupportedMedia")),
        (post(url, b"{", Content_Type=STRUCTURED), (400, "EventInvalid")),
        (request("GET", f"{url}/nothing"), (404, "NotFound")),
        (request("DELETE", url), (405, "MethodNotAllowed")),
    ):
        assert (response.status, response.json()["error"]) == expected
        assert len(response.data) <= 1024
