import socket
import threading
import time
from contextlib import suppress

import pytest

from rookery.events.broker.outcome import Answer, NoAnswer
from rookery.events.broker.transport import Transport


@pytest.fixture
def transport():
    made = Transport(max_answer_bytes=1000, connections_per_host=2)
    yield made
    made.close()


@pytest.fixture
def server():
    """Serve one connection with whatever is said: server(pieces, pause); returns its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def start(pieces, pause=0.0):
        def answer():
            connection, _ = listener.accept()
            with connection, suppress(OSError):  # the client may hang up on us
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause)

        threads.append(threading.Thread(target=answer))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for thread in threads:
        thread.join()
    listener.close()


def test_reads_an_answer(transport, server):
    url = server([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nce-id: 1\r\n\r\nhi"])
    answer = transport.post(url, {}, b"", 5)
    assert (answer.status, answer.body, answer.headers["ce-id"]) == (200, b"hi", "1")


def test_reads_an_answer_in_chunks(transport, server):
    url = server(
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"2\r\nhi\r\n",
            b"1\r\n!\r\n0\r\n\r\n",
        ],
        pause=0.01,
    )
    assert transport.post(url, {}, b"", 5).body == b"hi!"


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([b""], "closed without an answer"),
        ([b"nonsense\r\n\r\n"], "not HTTP: Expected HTTP"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"], "closed in the middle of the answer, after 2 bytes"),
        ([b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001], "longer than 1,000 bytes"),
    ],
)
def test_an_answer_that_is_broken_is_none(transport, server, pieces, reason):
    answer = transport.post(server(pieces), {}, b"", 5)
    assert isinstance(answer, NoAnswer)
    assert reason in answer.reason


def test_an_answer_that_trickles_in_does_not_take_for_ever(transport, server):
    url = server([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"x"] * 100], pause=0.02)
    answer = transport.post(url, {}, b"", 0.2)
    assert answer == NoAnswer("the answer did not end in time")


def test_an_answer_that_stops_half_way_does_not_take_for_ever(transport, server):
    url = server([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"], pause=1)
    assert transport.post(url, {}, b"", 0.1) == NoAnswer("the answer did not end in time")


def test_silence_is_a_timeout(transport, server):
    url = server([b""], pause=1)
    assert transport.post(url, {}, b"", 0.1) == NoAnswer("no answer within 0.1 s")


def test_what_http_cannot_carry_is_final(transport, server):
    url = server([])
    answer = transport.post(url, {"Content-Type": "a\nb"}, b"", 5)
    assert isinstance(answer, NoAnswer)
    assert answer.final
    socket.create_connection(("127.0.0.1", int(url.split(":")[-1][:-1]))).close()


def test_a_redirect_is_an_answer_and_is_not_followed(transport, server):
    url = server([b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"])
    answer = transport.post(url, {}, b"", 5)
    assert isinstance(answer, Answer)
    assert answer.status == 302
