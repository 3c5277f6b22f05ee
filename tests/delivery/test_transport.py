import socket
import threading
import time
from contextlib import suppress

import pytest

from rookery.credentials import Outgoing
from rookery.delivery import connection as connection_module
from rookery.delivery.connection import Answer, NoAnswer
from rookery.delivery.transport import Transport


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
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"],
            "closed in the middle of the answer, after 2 bytes",
        ),
        ([b"HTTP/1.1 200 OK\r\nContent-Le"], "closed in the middle of the answer, in its headers"),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"],
            "closed in the middle of the answer, after 2 bytes",
        ),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"],
            "not HTTP: Duplicate Content-Length",
        ),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"],
            "not HTTP: Transfer-Encoding can't be present with Content-Length",
        ),
        ([b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000], "headers are longer than 65,536 bytes"),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nzz"],
            "is encoded with 'gzip'",
        ),
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


@pytest.fixture
def talk():
    """Answer the n-th request of each connection with its n-th answer: talk([b"...", ...], ...).

    An answer in pieces is said with a pause after each. A connection whose answers have been said
    is closed at the next request. Returns the URL and the requests, a list for each connection.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    connections = []

    def start(*scripts):
        def serve():
            for script in scripts:
                with suppress(OSError):  # the client may hang up on us, and the test end first
                    connection, _ = listener.accept()
                    with connection:
                        connections.append([])
                        for answer in (*script, b""):
                            connections[-1].append(request(connection))
                            say(connection, answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/", connections

    yield start
    listener.close()


def say(connection, answer):
    if isinstance(answer, bytes):
        connection.sendall(answer)
        return
    for piece in answer:
        connection.sendall(piece)
        time.sleep(0.02)


def request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or b"\r\n\r\n"
    return data


NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"


def statuses(transport, url, count, **options):
    return [transport.post(url, {"ce-id": str(n)}, b"", 20, **options).status for n in range(count)]


def test_a_connection_is_used_again(transport, talk):
    url, connections = talk([NOTHING] * 3)
    assert statuses(transport, url, 3) == [204] * 3
    assert [len(each) for each in connections] == [3]


def test_says_what_it_is_told_and_nothing_else(transport, talk):
    url, connections = talk([NOTHING])
    transport.post(f"{url}a b?c=%20d", {"ce-id": "1", "Content-Type": "text/x"}, b"", 5)
    host = url.removeprefix("http://").removesuffix("/")
    assert connections[0][0].decode().split("\r\n") == [
        "POST /a%20b?c=%20d HTTP/1.1",
        f"Host: {host}",
        "User-Agent: rookery",
        "Accept-Encoding: identity",
        "ce-id: 1",
        "Content-Type: text/x",
        "Content-Length: 0",
        "",
        "",
    ]


def test_a_connection_that_was_closed_while_idle_costs_nothing(transport, talk):
    url, connections = talk([NOTHING], [NOTHING])
    assert statuses(transport, url, 2) == [204] * 2
    assert [len(each) for each in connections] == [2, 1]


def test_a_fresh_connection_that_is_closed_is_not_tried_twice(transport, talk):
    url, connections = talk([], [NOTHING])
    assert isinstance(transport.post(url, {}, b"", 5), NoAnswer)
    assert len(connections) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 204 No Content\r\n\r\n",
        NOTHING + NOTHING,  # an answer to no request
        NOTHING + b"x",
    ],
)
def test_a_connection_that_is_not_fit_for_it_is_not_used_again(transport, talk, answer):
    url, connections = talk([answer], [NOTHING])
    assert statuses(transport, url, 2) == [204] * 2
    assert len(connections) == 2


def test_an_interim_answer_is_passed_over(transport, talk):
    url, _ = talk([b"HTTP/1.1 100 Continue\r\na: b\r\n\r\n" + NOTHING])
    answer = transport.post(url, {}, b"", 5)
    assert (answer.status, answer.headers) == (204, {})


def test_a_header_that_comes_twice_is_joined(transport, talk):
    url, _ = talk([b"HTTP/1.1 204 No Content\r\nA: 1\r\na: 2\r\n\r\n"])
    assert transport.post(url, {}, b"", 5).headers == {"a": "1, 2"}


def test_a_change_of_protocols_is_an_answer_and_the_end_of_the_connection(transport, talk):
    upgrade = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    url, connections = talk([upgrade], [NOTHING])
    assert statuses(transport, url, 2) == [101, 204]
    assert len(connections) == 2


def test_a_body_without_a_length_ends_with_the_connection(transport, server):
    url = server([b"HTTP/1.1 200 OK\r\n\r\nab", b"cd"], pause=0.01)
    assert transport.post(url, {}, b"", 5).body == b"abcd"


def test_a_refusal_before_the_body_has_been_sent_is_read(transport):
    """The peer answers and closes while we still send: what it said counts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
            connection.close()

        threading.Thread(target=refuse, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert transport.post(url, {}, bytes(5_000_000), 10).status == 413


LONG = b"x" * 2000


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"200 OK\r\nContent-Length: 9\r\n\r\nhi", Answer(200, {"content-length": "9"}, b"")),
        (b"200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 200),
        (b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense", 200),
        (b"400 No\r\nContent-Length: 9\r\n\r\nhi", Answer(400, {"content-length": "9"}, b"")),
        (b"400 No\r\nA: b\r\n\r\n" + LONG, Answer(400, {"a": "b"}, LONG[:1000])),
        (b"400 No\r\nA: b\r\n\r\nhi", Answer(400, {"a": "b"}, b"hi")),
    ],
)
def test_where_a_status_is_enough_what_is_wrong_with_the_body_is_not(
    transport, server, said, answer
):
    found = transport.post(server([b"HTTP/1.1 " + said]), {}, b"", 20, whole=False)
    assert (found.status if isinstance(answer, int) else found) == answer


@pytest.mark.parametrize("piece", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_where_a_status_is_enough_it_has_to_come(transport, server, piece):
    assert isinstance(transport.post(server([piece]), {}, b"", 20, whole=False), NoAnswer)


def test_where_a_status_is_enough_the_connection_stays_open_if_the_body_comes_soon(
    transport, talk, monkeypatch
):
    monkeypatch.setattr(connection_module, "_REST_SECONDS", 20.0)
    late = (b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n", b"o", b"k")
    url, connections = talk([late] * 3)
    assert statuses(transport, url, 3, whole=False) == [202] * 3
    assert len(connections) == 1


def test_where_a_status_is_enough_a_connection_with_more_to_come_is_not_used_again(
    transport, talk, monkeypatch
):
    monkeypatch.setattr(connection_module, "_REST_SECONDS", 0.0)
    endless = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n"
    url, connections = talk([endless], [NOTHING])
    assert statuses(transport, url, 2, whole=False) == [202, 204]
    assert len(connections) == 2


def test_a_connection_in_use_is_closed_when_it_is_done(transport, server):
    url = server([b"HTTP/1.1 204 No Content\r\n\r\n"])
    transport.close()
    assert transport.post(url, {}, b"", 20).status == 204
    assert not transport._targets[url].idle


def test_connecting_does_not_take_all_the_time_of_an_attempt(talk, monkeypatch):
    def refuse(_, timeout):
        raise TimeoutError(timeout)

    monkeypatch.setattr(socket, "create_connection", refuse)
    transport = Transport(max_answer_bytes=1000, connections_per_host=2, connect_seconds=2.0)
    answer = transport.post(talk()[0], {}, b"", 20)
    assert answer == NoAnswer("ConnectionError: not connected within 2 s")


def test_no_such_host_is_no_answer(transport):
    answer = transport.post("http://no-such-host.invalid/", {}, b"", 5)
    assert isinstance(answer, NoAnswer)
    assert not answer.final


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("a" * 60, "a" * 60),
        ("bücher.example", "xn--bcher-kva.example"),
        ("[::1]", "[::1]"),
    ],
)
def test_the_port_does_not_count_for_the_length_of_a_host(transport, talk, monkeypatch, host, said):
    url, connections = talk([NOTHING])
    port = url.rstrip("/").rpartition(":")[2]
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda to, timeout: connect(("127.0.0.1", to[1]), timeout)
    )
    assert statuses(transport, f"http://{host}:{port}/", 1) == [204]
    assert f"\r\nHost: {said}:{port}\r\n" in connections[0][0].decode()


@pytest.mark.parametrize("authority", ["a" * 64, "host:99999"])
def test_a_url_that_cannot_be_used_is_no_fault_of_the_event(transport, authority):
    answer = transport.post(f"http://{authority}/", {}, b"", 5)
    assert isinstance(answer, NoAnswer)
    assert not answer.final
    assert answer.reason.startswith("the URL cannot be used: ")


def test_the_token_goes_with_every_request(talk):
    tokens = iter(["one", "two"])
    outgoing = Outgoing(tokens=lambda: (next(tokens),))
    transport = Transport(max_answer_bytes=1000, connections_per_host=2, outgoing=outgoing)
    url, connections = talk([NOTHING] * 2)
    assert statuses(transport, url, 2) == [204] * 2
    sent = [each.decode() for each in connections[0]]
    assert "Authorization: Bearer one\r\n" in sent[0]
    assert "Authorization: Bearer two\r\n" in sent[1]
    transport.close()
