"""The application under its own server, with more requests than it can take."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from rookery.serving.server import Server

CAPACITY = 5


@pytest.fixture
def crowded(make_function, jpeg, wait_until):
    """Serve a function and fill it: what is inside waits until it is let."""
    ended = []

    def fill(**options):
        function = make_function(concurrency=2, queue=CAPACITY - 2, **options)
        function.model.gate.clear()
        server = Server(
            function.app.wsgi_app,
            host="127.0.0.1",
            port=0,
            threads=CAPACITY + 4,
            max_body_bytes=1_000_000,
            drain_seconds=20,
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        pool = ThreadPoolExecutor(CAPACITY)
        ended.append((function, server, thread, pool))
        waiting = [pool.submit(post, server.url, jpeg) for _ in range(CAPACITY)]
        wait_until(lambda: function.gate.inside == CAPACITY, "the gate to be full")
        return function, server.url, waiting

    yield fill
    for function, server, thread, pool in ended:
        function.model.gate.set()
        server.stop()
        thread.join()
        pool.shutdown()


def post(url, jpeg):
    return ask("POST", url, body=jpeg, headers={"Content-Type": "image/jpeg"})


def ask(method, url, **options):
    with urllib3.PoolManager() as http:
        return http.request(method, url, retries=False, **options)


def probes(url):
    return [
        ask("GET", url + path).status
        for path in ("/health/liveness", "/health/readiness", "/metrics")
    ]


def test_one_request_more_is_429_and_those_inside_are_finished(crowded, jpeg):
    function, url, waiting = crowded()
    refused = post(url, jpeg)
    assert (refused.status, refused.json()["error"]) == (429, "Overloaded")
    assert refused.headers["Retry-After"] == "1"
    function.model.gate.set()
    assert [one.result().status for one in waiting] == [200] * CAPACITY
    assert post(url, jpeg).status == 200


def test_probes_and_metrics_are_answered_meanwhile(crowded):
    _, url, _ = crowded()
    assert probes(url) == [200, 200, 200]


def test_probes_are_answered_while_as_many_wait_for_the_model(crowded, jpeg):
    opened = threading.Event()
    function, url, waiting = crowded(opened=opened)
    assert probes(url) == [200, 503, 200]
    assert post(url, jpeg).status == 429
    opened.set()
    function.model.gate.set()
    assert [one.result().status for one in waiting] == [200] * CAPACITY
