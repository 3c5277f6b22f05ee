"""No secret value reaches a log line, a metric, an event, a dead letter, a state file or an answer.

Real processes at the most talkative level there is, secrets in every setting that holds one, and
everything that can go wrong. Every secret contains the same word, so that one search finds any.
"""

import base64
import json
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from hashlib import md5
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from rookery.events.wire import CloudEvent, to_binary
from rookery.storage.s3 import connect
from whole_system import ROOT, running

pytestmark = [pytest.mark.xdist_group("secrets"), pytest.mark.timeout(400)]

WORD = "sesame"
TOKEN, NEXT_TOKEN, WRONG_TOKEN = "token-sesame", "next-token-sesame", "wrong-token-sesame"
QUERY = "token=query-sesame"
SECRETS = {
    "S3_ACCESS_KEY": "AKIASESAME",
    "S3_SECRET_KEY": "secret/sesame+key=",
    "ROOKERY_INGRESS_TOKEN": f"{NEXT_TOKEN}\n{TOKEN}",
    "ROOKERY_SINK_TOKEN": TOKEN,
    "ROOKERY_DEDUP": "redis://user:password-sesame@127.0.0.1:9/0",
}
# Everybody's loggers, our own as well, say all they can.
TALKATIVE = """
import logging
logging.basicConfig(level=logging.DEBUG)
"""
_SECONDS = 60


class Echo:
    """A server that repeats what it was asked, headers and all, as many do when they refuse."""

    def __init__(self) -> None:
        self.status = 202
        echo = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                said = f"Cannot {self.requestline}\n{self.headers}".encode()
                self.send_response(echo.status)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *args: object) -> None:
                del args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/in?{QUERY}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


TOPICS = {
    "ListTopics": "<ListTopicsResponse><ListTopicsResult><Topics/></ListTopicsResult>"
    "</ListTopicsResponse>",
    "CreateTopic": "<CreateTopicResponse><CreateTopicResult>"
    "<TopicArn>arn:aws:sns:default::images</TopicArn>"
    "</CreateTopicResult></CreateTopicResponse>",
}


class Radosgw:
    """As much of one as `rookery ceph notifications` asks: it takes all and keeps nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        radosgw = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                asked = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                radosgw.asked.append(asked)
                action = parse_qs(asked).get("Action", [""])[0]
                said = TOPICS.get(action, "<NotificationConfiguration/>").encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def do_GET(self) -> None:
                self._answer()

            def do_PUT(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def log_message(self, *args: object) -> None:
                del args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def announcement(bucket: str, key: str, data: bytes = b"") -> tuple[dict[str, str], bytes]:
    record = {
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-31T12:00:00Z",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "eTag": md5(data).hexdigest()}},
    }  # fmt: skip
    return {"Content-Type": "application/json"}, json.dumps({"Records": [record]}).encode()


def an_event(id_: str, data: bytes = b"{}") -> tuple[dict[str, str], bytes]:
    return to_binary(
        CloudEvent(
            id=id_, source="/test", type="test.v1", datacontenttype="application/json", data=data
        )
    )


class Scene:
    """Processes, and everything they let be seen, by where it was seen."""

    def __init__(self, launch, environ: Mapping[str, str], folder: Path, stack: ExitStack) -> None:
        self._launch = launch
        (folder / "sitecustomize.py").write_text(TALKATIVE)
        self.environ = {**environ, **SECRETS, "PYTHONPATH": str(folder)}
        self._stack = stack
        self._processes: dict[str, object] = {}
        self.seen: dict[str, str] = {}

    def start(self, name: str, *arguments: str, **env: str):
        """Start `rookery` with *arguments*; what it says is seen when everything has ended."""
        process = self._stack.enter_context(
            self._launch((sys.executable, "-m", "rookery", *arguments), {**self.environ, **env})
        )
        self._processes[name] = process
        return process

    def ask(  # noqa: PLR0913
        self,
        name: str,
        process: object,
        method: str,
        path: str,
        message: tuple[dict[str, str], bytes] = ({}, b""),
        *,
        token: str | None = TOKEN,
    ) -> int:
        """Make one request, and see its answer."""
        headers, body = message
        if token is not None:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        host = process.said(r"listening on http://(\S+)")[1]
        connection = HTTPConnection(host, timeout=_SECONDS)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        said = f"{response.status} {response.headers}\n{response.read().decode()}"
        connection.close()
        self.seen[f"answer of {name}: {method} {path} #{len(self.seen)}"] = said
        return response.status

    def run(self, name: str, *arguments: str, **env: str) -> int:
        """Run a command to its end, and see what it says."""
        done = subprocess.run(
            (sys.executable, "-m", "rookery", *arguments),
            env={**self.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
        self.seen[f"command {name}"] = f"status {done.returncode}\n{done.stdout}"
        return done.returncode

    def finish(self) -> None:
        self._stack.close()
        for name, process in self._processes.items():
            self.seen[f"log of {name}"] = process.text


@pytest.fixture(scope="module")
def seen(launch, environ, storage, jpeg, tmp_path_factory) -> Mapping[str, str]:
    """Everything that could be seen of everything."""
    folder = tmp_path_factory.mktemp("secrets")
    with ExitStack() as stack:
        echo = Echo()
        stack.callback(echo.close)
        scene = Scene(launch, environ, folder, stack)
        _functions(scene, storage, echo, jpeg)
        _sources(scene, storage, echo, folder)
        _notifications(scene, storage, folder)
        _broker(scene, echo, folder)
        _wrong_settings(scene, folder)
        scene.finish()
    _whole_system(scene, environ, folder, jpeg)
    return scene.seen


def _functions(scene: Scene, storage, echo: Echo, jpeg: bytes) -> None:
    common = {"S3_ENABLED": "true", "S3_BUCKET_NAME": "images", "K_SINK": echo.url}
    serve = ("serve", str(ROOT / "functions" / "classify"))
    denied = scene.start("a denied function", *serve, **common, S3_ENDPOINT_URL=storage.url)
    away = scene.start("a lonely function", *serve, **common, S3_ENDPOINT_URL="http://127.0.0.1:9")
    works = scene.start(
        "a function", *serve, **common, S3_ENDPOINT_URL=storage.url,
        S3_ACCESS_KEY=storage.env["S3_ACCESS_KEY"], S3_SECRET_KEY=storage.env["S3_SECRET_KEY"],
    )  # fmt: skip
    store = connect(
        endpoint=storage.url, region="us-east-1",
        access_key=storage.env["S3_ACCESS_KEY"], secret_key=storage.env["S3_SECRET_KEY"],
    )  # fmt: skip
    for key, data in (("secrets/good.jpg", jpeg), ("secrets/bad.jpg", b"no image")):
        store.write("images", key, data, content_type="image/jpeg")
    store.close()
    good = announcement("images", "secrets/good.jpg", jpeg)
    assert scene.ask("a denied function", denied, "POST", "/", good) == 503
    assert scene.ask("a lonely function", away, "POST", "/", good) == 503
    for status, answered in ((202, 202), (400, 424), (401, 503), (500, 503)):
        echo.status = status
        found = scene.ask("a function", works, "POST", "/", good)
        assert found == answered, scene.seen
    echo.status = 400
    scene.ask(
        "a function", works, "POST", "/", announcement("images", "secrets/bad.jpg", b"no image")
    )
    echo.status = 202
    for name, function in (("a function", works), ("a denied function", denied)):
        image = ({"Content-Type": "image/jpeg"}, jpeg)
        assert scene.ask(name, function, "POST", "/", image) == 200
        assert scene.ask(name, function, "POST", "/", image, token=NEXT_TOKEN) == 200
        assert scene.ask(name, function, "POST", "/", image, token=WRONG_TOKEN) == 401
        assert scene.ask(name, function, "POST", "/", image, token=None) == 401
        path = f"/?access_token={WRONG_TOKEN}"
        assert scene.ask(name, function, "POST", path, image, token=None) == 401
        scene.ask(name, function, "POST", "/", announcement("other", "key"))
        scene.ask(name, function, "POST", "/", ({"Content-Type": "application/json"}, b"{"))
        scene.ask(name, function, "GET", "/nowhere")
        for path in ("/metrics", "/health/readiness", "/openapi.json"):
            assert scene.ask(name, function, "GET", path) == 200


def _sources(scene: Scene, storage, echo: Echo, folder: Path) -> None:
    queue = f"{storage.url}/123456789012/images-events"
    for name, where in (
        ("a denied source", storage.url),
        ("a lonely source", "http://127.0.0.1:9"),
    ):
        process = scene.start(
            name, "source", "sqs", f"--queue-url={queue}", f"--endpoint-url={where}",
            f"--sink={echo.url}", "--wait-seconds=0",
        )  # fmt: skip
        process.said("unavailable")
    echo.status = 400
    receiver = scene.start(
        "a receiver", "source", "ceph", "--port=0", f"--sink={echo.url}",
        f"--journal={folder / 'receiver.db'}",
    )  # fmt: skip
    assert scene.ask("a receiver", receiver, "POST", "/", announcement("images", "a.jpg")) == 202
    assert scene.ask("a receiver", receiver, "POST", "/", ({}, b"poison")) in {200, 202}
    receiver.said("gives up")
    _look_into("a receiver", scene, receiver)


def _notifications(scene: Scene, storage, folder: Path) -> None:
    file = folder / "notifications.yaml"
    endpoint = "https://user:${PASSWORD}@127.0.0.1:9/?access_token=${PASSWORD}"
    topic = {"name": "images", "bucket": "images", "endpoint": endpoint, "opaque": "${PASSWORD}"}
    file.write_text(json.dumps({"notifications": [topic]}))
    radosgw = Radosgw()
    env = {"PASSWORD": f"password-{WORD}", "S3_ENDPOINT_URL": radosgw.url}
    notifications = ("ceph", "notifications")
    apply = (*notifications, "apply", f"--file={file}")
    try:
        listing = ("list", "--bucket=images")
        assert scene.run("notifications list", *notifications, *listing, **env) == 0
        assert scene.run("notifications apply --dry-run", *apply, "--dry-run", **env) == 0
        assert scene.run("notifications apply", *apply, **env) == 78
    finally:
        radosgw.close()
    assert any(WORD in asked for asked in radosgw.asked)  # what was not told was sent
    assert "does not show them" in scene.seen["command notifications apply"]
    for name, where in (("denied", storage.url), ("lonely", "http://127.0.0.1:9")):
        told = {**env, "S3_ENDPOINT_URL": where}
        assert scene.run(f"notifications apply, {name}", *apply, **told) == 69, scene.seen


def _broker(scene: Scene, echo: Echo, folder: Path) -> None:
    triggers = folder / "triggers.yaml"
    triggers.write_text(
        f"""
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: echo}}
spec:
  subscriber: {{uri: "{echo.url}"}}
  delivery: {{retry: 0, deadLetterSink: {{uri: "{echo.url}&again=1"}}}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: lonely}}
spec:
  subscriber: {{uri: "http://127.0.0.1:9/?{QUERY}"}}
  delivery: {{retry: 0}}
"""
    )
    journal = folder / "broker.db"
    broker = scene.start(
        "a broker", "broker", "serve", "--port=0", f"--triggers={triggers}", f"--journal={journal}"
    )
    for status in (400, 401, 500):
        echo.status = status
        assert scene.ask("a broker", broker, "POST", "/", an_event(str(status))) == 202
    scene.ask("a broker", broker, "POST", "/", ({"Content-Type": "text/html"}, b"poison"))
    broker.said("(?s)(gives up.*){6}")
    _look_into("a broker", scene, broker)
    url = broker.said(r"listening on (http://\S+)")[1]
    assert scene.run("broker events", "broker", "events", f"--url={url}") == 0
    assert scene.run("deadletters list", "deadletters", "list", f"--url={url}") == 0
    assert scene.run("broker triggers", "broker", "triggers", f"--url={url}", "--json") == 0
    wrong = {"ROOKERY_SINK_TOKEN": WRONG_TOKEN}
    assert scene.run("broker events, denied", "broker", "events", f"--url={url}", **wrong) == 65
    away = "--url=http://127.0.0.1:9"
    assert scene.run("broker events, lonely", "broker", "events", away) == 69


def _look_into(name: str, scene: Scene, server: object) -> None:
    for path in ("/events", "/deadletters", "/triggers", "/metrics", "/health/readiness"):
        assert scene.ask(name, server, "GET", path) == 200
    assert scene.ask(name, server, "GET", "/events", token=None) == 401
    assert scene.ask(name, server, "GET", "/events", token=WRONG_TOKEN) == 401


def _wrong_settings(scene: Scene, folder: Path) -> None:
    """Start with what cannot be used; every secret is part of something that is wrong."""
    file = folder / "file-sesame-content"
    file.write_text("two\nlines of sesame")
    wrong = (
        {
            "PORT": "x", "S3_SECRET_KEY": "", "S3_ENDPOINT_URL": f"ftp://u:{WORD}@s3/?{QUERY}",
            "K_SINK": f"ftp://sink/?{QUERY}", "ROOKERY_DEDUP": f"redis:{WORD}",
            "K_CE_OVERRIDES": f'{{"extensions": {{"Tenant": "{WORD}"}}}}',
            "ROOKERY_INGRESS_TOKEN_FILE": "/nowhere",
        },
        {"ROOKERY_INGRESS_TOKEN": f"open {WORD}"},
        {"ROOKERY_SINK_TOKEN": f"open {WORD}", "K_SINK": "http://127.0.0.1:9"},
        {"K_CA_CERTS": f"-----BEGIN {WORD}"},
        {"K_CE_OVERRIDES": f'{{"extensions": {{"tenant": ["{WORD}"]}}}}'},
        {"S3_ENDPOINT_URL": f"http://s3/?{QUERY}"},
        {"S3_ENABLED": "true", "S3_BUCKET_NAME": "images", "S3_ACCESS_KEY": "", "S3_SECRET_KEY": "",
         "S3_ACCESS_KEY_FILE": str(file), "S3_SECRET_KEY_FILE": str(file)},
    )  # fmt: skip
    started = [
        scene.start(
            f"wrong settings {number}", "serve", str(ROOT / "functions" / "classify"), **env
        )
        for number, env in enumerate(wrong)
    ]
    for process in started:
        assert process.ends() in {65, 78}, process.text


def _whole_system(scene: Scene, environ: Mapping[str, str], folder: Path, jpeg: bytes) -> None:
    """`rookery up` with tokens: it works, and everything it leaves behind is seen."""
    home = folder / "home"
    home.mkdir()
    (home / "models").symlink_to(Path(environ["ROOKERY_HOME"]) / "models")
    photo, poison = folder / "photo.jpg", folder / "poison.jpg"
    photo.write_bytes(jpeg)
    poison.write_bytes(b"no image")
    tokens = folder / "tokens"
    tokens.write_text(f"{NEXT_TOKEN}\n{TOKEN}\n")
    password = folder / "redis-password"
    password.write_text(f"password-{WORD}")
    env = {
        "PYTHONPATH": str(folder), "ROOKERY_MODEL": "penguins", "ROOKERY_BACKEND": "fixed",
        "ROOKERY_INGRESS_TOKEN_FILE": str(tokens),
        "ROOKERY_DEDUP": "redis://user@127.0.0.1:9/0", "ROOKERY_DEDUP_PASSWORD_FILE": str(password),
        "S3_ACCESS_KEY": SECRETS["S3_ACCESS_KEY"], "S3_SECRET_KEY": SECRETS["S3_SECRET_KEY"],
    }  # fmt: skip
    scene.environ = {**environ, **env, "ROOKERY_HOME": str(home)}
    with (folder / "up.log").open("w+") as log, running(home, log=log, **env) as up:
        assert scene.run("put", "put", str(photo)) == 0, scene.seen["command put"]
        assert scene.run("put poison", "put", str(poison)) == 1
        assert (
            scene.run("put without a token", "put", str(photo), ROOKERY_INGRESS_TOKEN_FILE="") == 65
        )
        tokens.write_text(f"{TOKEN}\n")  # rotated, while everything runs
        assert scene.run("put again", "put", "--prefix=again/", str(photo)) == 0
        up.kill("source")
        assert scene.run("deadletters of up", "deadletters", "list", "--json") == 0
        state = home / "up.json"
        scene.seen["up.json"] = state.read_text()
    for file in sorted({*home.glob("*.yaml"), *(home / "logs").glob("*"), folder / "up.log"}):
        scene.seen[f"file {file.name}"] = file.read_text()


def revealed(text: str) -> list[str]:
    """Every line with the word in it, also where it is in base64."""
    found = [line for line in text.splitlines() if WORD in line.lower()]
    for encoded in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text):
        padded = encoded + "=" * (-len(encoded) % 4)
        try:
            decoded = base64.b64decode(padded)
        except ValueError:
            continue
        if WORD.encode() in decoded.lower():
            found.append(f"{encoded} is {decoded!r}")
    return found


def test_no_secret_is_revealed_anywhere(seen):
    # Names that we chose for files and objects are no secrets.
    told = {where: text.replace("file-sesame-content", "") for where, text in seen.items()}
    leaks = {where: lines for where, text in told.items() if (lines := revealed(text))}
    assert not leaks, json.dumps(leaks, indent=1)[:5000]


def test_what_was_searched_is_all_there_is_to_see(seen):
    assert {
        where for where, text in seen.items() if where.startswith("log of") and not text
    } == set()
    assert sum(where.startswith("answer of") for where in seen) >= 40
    assert "DEBUG" in seen["log of a function"]
    assert "gives up event" in seen["log of a broker"]
    assert "***" in seen["log of a broker"] + seen["log of a function"]


def test_the_search_finds_what_is_hidden_in_base64():
    assert revealed(base64.b64encode(b"HTTP 401 Bearer open-sesame").decode())
    assert not revealed("nothing to see")
