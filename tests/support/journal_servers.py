"""A subscriber that records, and a broker or receiver behind HTTP, on free ports."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3
from waitress import create_server, wasyncore

from rookery.events.broker.service import Broker
from rookery.events.wire import CloudEvent, from_http, to_binary

DEADLINE = 15.0


class Subscriber:
    """An HTTP server that records events and answers as told."""

    def __init__(self, answer: Callable[[CloudEvent], object], port: int = 0) -> None:
        self.answer = answer
        self.events: list[CloudEvent] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._changed = threading.Condition()
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                subscriber._handle(self, dict(self.headers), body)

            def log_message(self, *args: object) -> None:
                del args

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: object) -> None:
                del args  # a client that hung up, as the timeout tests do

        self._server = Quiet(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/in"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def _handle(self, handler: BaseHTTPRequestHandler, headers: dict[str, str], body: bytes):
        (event,) = from_http(headers, body)
        with self._changed:
            self.events.append(event)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self._changed.notify_all()
        said = self.answer(event)
        with self._changed:
            self.in_flight -= 1
        status, reply, body = (said, {}, b"") if isinstance(said, int) else said
        handler.send_response(status)
        for name, value in reply.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    @property
    def ids(self) -> list[str]:
        with self._changed:
            return [event.id for event in self.events]

    def wait(self, count: int) -> list[CloudEvent]:
        """Return the events once there are *count* of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.events) >= count, DEADLINE), (
                f"{len(self.events)} of {count} events came"
            )
            return list(self.events)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Running:
    """A broker behind HTTP."""

    def __init__(self, url: str, broker) -> None:
        self.url = url
        self.broker = broker
        self.http = urllib3.PoolManager(retries=False, maxsize=16)

    def post(self, event: CloudEvent, path: str = "/") -> int:
        headers, body = to_binary(event)
        return self.http.request("POST", self.url + path, headers=headers, body=body).status

    def send(self, method: str, path: str, body: bytes = b"", **headers: str):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, self.url + path, headers=names, body=body)

    def lines(self, path: str) -> list[dict]:
        return [json.loads(line) for line in self.send("GET", path).data.splitlines()]

    def trigger(self, name: str) -> dict:
        listed = json.loads(self.send("GET", "/triggers").data)["triggers"]
        return next(each for each in listed if each["name"] == name)

    def until_settled(self, name: str) -> dict:
        """Return the trigger once nothing is pending for it."""
        return self.until(name, lambda trigger: trigger["pending"] == 0)

    def until(self, name: str, true: Callable[[dict], bool]) -> dict:
        return poll(lambda: self.trigger(name), true)

    def metric(self, name: str) -> float:
        for line in self.send("GET", "/metrics").data.decode().splitlines():
            if line.startswith(name):
                return float(line.rpartition(" ")[2])
        return 0.0


def poll(look, good):
    """Return what *look* sees once it is *good*."""
    deadline = time.monotonic() + DEADLINE
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r}"
        time.sleep(0.01)
    return seen


@contextmanager
def serving(opened: AbstractContextManager[Broker]) -> Iterator[Running]:
    """Serve what *opened* opens, as long as it is entered."""
    with opened as broker:
        server = create_server(broker.app, host="127.0.0.1", port=0, threads=16)
        stopping = threading.Event()

        def run() -> None:
            while not stopping.is_set():
                wasyncore.loop(timeout=1, map=server._map, count=1)

        thread = threading.Thread(target=run)
        thread.start()
        running = Running(f"http://127.0.0.1:{server.effective_port}", broker)
        try:
            yield running
        finally:
            broker.drain()
            running.http.clear()
            stopping.set()
            server.pull_trigger()
            thread.join()
            server.task_dispatcher.shutdown()
            wasyncore.close_all(server._map)
