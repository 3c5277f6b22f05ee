import logging
import sys
import time

import pytest

from rookery.dedup import redis as redis_adapter
from rookery.dedup.leases import SharedWindow
from rookery.errors import DedupInvalid, DedupUnavailable


@pytest.fixture
def connect():
    """Connect: connect(url); closed at the end."""
    opened = []

    def make(url, **options):
        ledger, name = redis_adapter.connect(url, ttl_seconds=60, **options)
        opened.append(ledger)
        return ledger, name

    yield make
    for ledger in opened:
        ledger.close()


@pytest.fixture
def nobody(unused_url):
    return unused_url.replace("http://", "redis://me:sesame@")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://cache", "redis at cache:6379"),
        ("redis://:sesame@cache:7000/3", "redis at cache:7000"),
        ("rediss://me:sesame@cache", "redis at cache:6379"),
        ("redis://cache?password=sesame", "redis at cache:6379"),
    ],
)
def test_connects_to_nothing_yet_and_names_no_password(connect, url, name):
    assert connect(url)[1] == name


@pytest.mark.parametrize(
    "url",
    [
        "redis://:sesame@cache:port", "redis://:sesame@[::1", "redis://:sesame@h?db=x",
        "redis://:sesame@h?protocol=9", "redis://:sesame@h?ssl_ca_certs=/sesame",
    ],
)  # fmt: skip
def test_a_url_that_is_none_is_refused_without_its_password(connect, url):
    with pytest.raises(DedupInvalid, match="rediss://") as raised:
        connect(url)
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize(
    "option",
    [
        "ssl_cert_reqs=none", "ssl_cert_reqs=", "ssl_check_hostname=false",
        "ssl_ca_certs=a&ssl_x=1", "max_connections=1", "sesame=1", "db=1&sesame",
    ],
)  # fmt: skip
def test_an_option_that_nobody_takes_or_that_trusts_anybody_is_refused(connect, option):
    with pytest.raises(DedupInvalid, match="always verified") as raised:
        connect(f"rediss://cache/0?{option}")
    assert "ssl_ca_certs" in str(raised.value)
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize("option", ["", "?ssl_ca_certs=/ca.pem&ssl_certfile=/c&ssl_keyfile=/k"])
def test_tls_verifies_the_server(connect, option):
    ledger, _ = connect(f"rediss://cache{option}")
    connection = ledger._client.connection_pool.make_connection()
    assert connection.cert_reqs.name == "CERT_REQUIRED"
    assert connection.check_hostname is True


def test_a_server_that_is_down_is_unavailable(connect, nobody):
    ledger, _ = connect(nobody)
    with pytest.raises(DedupUnavailable, match="ConnectionError"):
        ledger.claim("k")
    with pytest.raises(DedupUnavailable):
        ledger.settle("k", b"result")


def test_a_server_that_hangs_is_unavailable_soon(connect, scripted_server):
    server = scripted_server(None)
    ledger, _ = connect(server.url.replace("http://", "redis://"))
    started = time.monotonic()
    with pytest.raises(DedupUnavailable, match="Timeout"):
        ledger.claim("k")
    assert time.monotonic() - started < 10


def test_what_speaks_another_protocol_is_unavailable(connect, scripted_server):
    server = scripted_server(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    ledger, _ = connect(server.url.replace("http://", "redis://"))
    with pytest.raises(DedupUnavailable):
        ledger.claim("k")


def test_the_password_is_in_no_log(connect, nobody, made, caplog):
    ledger, name = connect(nobody)
    window = SharedWindow(ledger, name=name, scope="s")
    with caplog.at_level(logging.DEBUG):
        window.run("k", made)
    window.close()
    assert "unavailable" in caplog.text
    assert "sesame" not in caplog.text


def test_says_how_to_install_the_library(connect, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(DedupInvalid, match=r'pip install "rookery\[redis\]"'):
        connect("redis://cache")


@pytest.mark.parametrize("url", ["redis://:sesame@cache", "redis://cache?password=sesame"])
def test_a_password_has_one_place(connect, url):
    with pytest.raises(DedupInvalid, match="ROOKERY_DEDUP_PASSWORD_FILE") as raised:
        connect(url, password=lambda: "sesame")
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize(
    ("user", "sent"), [("", ("sesame",)), ("me@", ("me", "sesame")), ("m%40e@", ("m@e", "sesame"))]
)
def test_a_connection_logs_in_with_the_password_as_it_is_then(connect, user, sent):
    now = ["before"]
    ledger, name = connect(f"redis://{user}cache", password=lambda: now[0])
    connection = ledger._client.connection_pool.make_connection()
    now[0] = "sesame"
    assert connection.credential_provider.get_credentials() == sent
    assert name == "redis at cache:6379"
